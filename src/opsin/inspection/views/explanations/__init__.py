"""Why this answer: attribution maps, their faithfulness, and sentences that say what they mean."""
