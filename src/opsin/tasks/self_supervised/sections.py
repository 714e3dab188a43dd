"""What a report says of features: whether views of an image agree, how many directions they use, what is similar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsin.base.formatting import percent
from opsin.base.spread import spread
from opsin.tasks.section import Example, Section, Table
from opsin.tasks.self_supervised import measures
from opsin.viz.charts import Series, line_chart

if TYPE_CHECKING:
    from opsin.tasks.self_supervised.evaluation import FeatureEvaluation

PAIRS = 6
"""Images that are shown with their nearest neighbours."""


def sections(evaluation: FeatureEvaluation) -> list[Section]:
    """Return the sections, the most important first."""
    return [_features(evaluation), *_folders(evaluation), _neighbours(evaluation)]


def _features(evaluation: FeatureEvaluation) -> Section:
    count, width = len(evaluation.own_ranks), evaluation.features.shape[1]
    rows = [
        (f"second view found among those of {count:,} images", percent(evaluation.agreement)),
        ("mean cosine of the two views of an image", f"{1 - evaluation.distance:.3f}"),
        (f"effective rank of the {width} features", f"{evaluation.rank:.1f}"),
    ]
    text = (
        "Two random views of each image were compared: small sections in other colours. Features that follow what an "
        "image shows find the second view by the first one. The effective rank says how many directions the features "
        "use; 1 would mean that they differ by a single number."
    )
    warning = (f"The features collapsed: {evaluation.collapse}.",) if evaluation.collapse else ()
    return Section("Features", (*warning, text), Table(("", ""), tuple(rows)), (_spectrum(evaluation),))


def _spectrum(evaluation: FeatureEvaluation) -> str:
    """Draw the singular values, the largest first."""
    points = tuple((float(place), float(value)) for place, value in enumerate(evaluation.spectrum, start=1))
    return line_chart([Series("singular values", "first", points)], "direction", "share", is_share=True)


def _folders(evaluation: FeatureEvaluation) -> list[Section]:
    if not evaluation.by_folder:
        return []
    knn, probe = evaluation.by_folder.values()
    text = (
        f"The images lie in {len(evaluation.names):,} folders, which were not used in training. If they are classes, "
        "these accuracies tell how well features separate them. Both are measured on the same images as everything "
        "here, each image by the others; a classifier that is trained on more labels does better."
    )
    rows = (
        (f"the {measures.NEIGHBOURS} nearest neighbours or fewer", percent(knn)),
        (f"a linear classifier, in {measures.FOLDS} folds", percent(probe)),
    )
    return [Section("By folder", (text,), Table(("", "accuracy"), rows))]


def _neighbours(evaluation: FeatureEvaluation) -> Section:
    """Show some images, each with the nearest other one."""
    nearest, similarities = measures.nearest_neighbours(evaluation.features)
    chosen = spread(len(nearest), PAIRS)
    examples = []
    for number, place in enumerate(chosen.tolist(), start=1):
        caption = f"pair {number}, similarity {similarities[place]:.3f}"
        examples += [Example(int(evaluation.numbers[each]), caption) for each in (place, int(nearest[place]))]
    return Section(
        "Nearest images", ("Some images, each followed by the nearest of the others.",), examples=tuple(examples)
    )
