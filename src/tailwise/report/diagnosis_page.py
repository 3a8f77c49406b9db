"""The page of a diagnosis: one self-contained file."""

from markupsafe import Markup

from tailwise.diagnose.facts import Diagnosis
from tailwise.labels.shots import REGIONS
from tailwise.report.diagnosis_charts import label_chart, quick_model_chart, relevance_chart
from tailwise.report.findings import findings, target_lines
from tailwise.report.rendering import render


def diagnosis_page(found: Diagnosis, name: str) -> str:
    """The page of a diagnosis as HTML text.

    Args:
        found: the diagnosis.
        name: what to call the table.
    """
    target = found.target
    pictures = {"labels": label_chart(found.density, target.name)}
    if found.relevance is not None:
        pictures["relevance"] = relevance_chart(found.relevance, target)
    if found.model is not None:
        pictures["model"] = quick_model_chart(found.model, target.name)
    return render(
        "diagnosis.html",
        title=f"{target.name} of {name}",
        found=found,
        lines=target_lines(found),
        findings=findings(found),
        charts={chart: Markup(svg) for chart, svg in pictures.items()},
        ends=[] if found.model is None else [error for error in found.model.errors if error.region not in REGIONS],
    )
