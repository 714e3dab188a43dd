"""Identity: does this image show the same person, animal or product as that one?"""

from opsin.tasks.identity.targets import Identities
from opsin.tasks.identity.task import Identity

__all__ = ["Identities", "Identity"]
