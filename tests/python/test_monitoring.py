"""The page of metrics, the dashboard and the alerts are made of the one table, and promtool takes the alerts."""

import json
import shutil
import subprocess
from pathlib import Path

import monitoring
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "monitoring"
FILES = {
    ROOT / "docs" / "metrics.md": monitoring.page,
    FOLDER / "grafana.json": monitoring.dashboard,
    FOLDER / "alerts.yml": monitoring.alerts,
}

FIRING = """
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'headworks_backend_servers{backend="app"}', values: '2x20'}
      - {series: 'headworks_backend_servers_usable{backend="app"}', values: '2x9 0x10'}
      - {series: 'headworks_listener_requests_total{listener="web"}', values: '0+100x20'}
      - {series: 'headworks_listener_responses_total{listener="web",code="5xx"}', values: '0+10x20'}
      - {series: 'headworks_listener_responses_total{listener="web",code="2xx"}', values: '0+90x20'}
      - {series: 'headworks_certificate_not_after_timestamp_seconds{listener="web",name="a.test"}', values: '1e6x20'}
      - {series: 'headworks_certificate_not_after_timestamp_seconds{listener="web",name="b.test"}', values: '9e6x20'}
    alert_rule_test:
      - {eval_time: 5m, alertname: HeadworksNoServer, exp_alerts: []}
      - eval_time: 15m
        alertname: HeadworksNoServer
        exp_alerts:
          - exp_labels: {severity: critical, backend: app}
            exp_annotations: {summary: 'No server of backend app may be chosen.'}
      - eval_time: 15m
        alertname: HeadworksErrors
        exp_alerts:
          - exp_labels: {severity: critical, listener: web}
            exp_annotations: {summary: 'More than 5 % of the requests at listener web are answered with 5xx.'}
      - eval_time: 15m
        alertname: HeadworksCertificateEnds
        exp_alerts:
          - exp_labels: {severity: warning, listener: web, name: a.test}
            exp_annotations: {summary: 'The certificate for a.test of listener web ends in less than 14 days.'}
"""


@pytest.fixture(scope="module")
def promtool() -> str:
    """Find promtool, or say how to have it."""
    return shutil.which("promtool") or pytest.skip("there is no promtool: apt-get install prometheus")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_files_are_up_to_date(file):
    text = file.read_text()
    assert FILES[file](text) == text, f"write it anew: python tools/monitoring.py {file.relative_to(ROOT)}"


def test_every_expression_is_about_metrics_that_there_are():
    known = {row["name"] for row in monitoring.table()}
    for expression in monitoring.expressions():
        found = monitoring.names(expression)
        assert found
        assert found <= known, expression


def test_panels_stand_beside_and_below_each_other():
    panels = json.loads((FOLDER / "grafana.json").read_text())["panels"]
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert (x, y) not in taken
                taken.add((x, y))
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_promtool_takes_the_alerts_and_they_fire_when_they_should(promtool, tmp_path):
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    (tmp_path / "firing.yml").write_text(FIRING)
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "firing.yml"]):
        done = subprocess.run([promtool, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_queries_of_the_dashboard(promtool, tmp_path):
    rules = "\n".join(
        f"      - {{record: 'x:number{number}', expr: {json.dumps(query.replace('$__rate_interval', '5m'))}}}"
        for number, query in enumerate(monitoring.expressions())
    )
    (tmp_path / "queries.yml").write_text(f"groups:\n  - name: queries\n    rules:\n{rules}\n")
    done = subprocess.run(
        [promtool, "check", "rules", tmp_path / "queries.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
