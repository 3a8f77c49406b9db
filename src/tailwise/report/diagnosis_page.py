"""The page of a diagnosis: one self-contained page."""

from pathlib import Path

from markupsafe import Markup

from tailwise.diagnose.answer import answer
from tailwise.diagnose.facts import Diagnosis
from tailwise.labels.shots import REGIONS
from tailwise.report.diagnosis_charts import label_chart, quick_model_chart, relevance_chart
from tailwise.report.findings import findings, target_lines
from tailwise.report.rendering import render


def diagnosis_page(diagnosis: Diagnosis, name: str) -> str:
    """Return the page of a diagnosis as HTML text.

    Args:
        diagnosis: the diagnosis.
        name: name of the table.
    """
    target = diagnosis.target
    pictures = {"labels": label_chart(diagnosis.density, target.name)}
    if diagnosis.relevance is not None:
        pictures["relevance"] = relevance_chart(diagnosis.relevance, target)
    if diagnosis.model is not None:
        pictures["model"] = quick_model_chart(diagnosis.model, target.name)
    return render(
        "diagnosis.html",
        title=f"{target.name} of {Path(name).name}",
        diagnosis=diagnosis,
        answer=answer(diagnosis),
        lines=target_lines(diagnosis),
        findings=findings(diagnosis),
        charts={chart: Markup(svg) for chart, svg in pictures.items()},
        ends=[]
        if diagnosis.model is None
        else [error for error in diagnosis.model.errors if error.region not in REGIONS],
    )
