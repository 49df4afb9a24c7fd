"""What models cost by which list: imported tables of other projects, prices.yaml, the built-in list, and gates that ask for prices of one's own."""

import json
import time

import pytest

from server import Fusebox
from wire import batch, span

LITELLM = {
    "sample_spec": {"input_cost_per_token": 0, "output_cost_per_token": 0},
    "made-up-1": {"input_cost_per_token": 1.5e-06, "output_cost_per_token": 6e-06, "cache_read_input_token_cost": 1.5e-07, "litellm_provider": "acme", "mode": "chat"},
    "acme/made-up-2": {"input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06, "cache_creation_input_token_cost": 2.5e-06, "litellm_provider": "acme"},
    "gpt-4o": {"input_cost_per_token": 7e-06, "output_cost_per_token": 9e-06, "litellm_provider": "openai"},
    "pictures": {"output_cost_per_image": 0.04, "litellm_provider": "acme"},
    "free, with a comma": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
    "negative": {"input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06},
    "endless": {"input_cost_per_token": 1e300, "output_cost_per_token": 1e-06},
}
GENAI = [{"id": "acme", "models": [
    {"id": "made-up-1", "match": {"or": [{"equals": "made-up-one"}, {"starts_with": "made-up-1-"}]}, "prices": {"input_mtok": 3, "output_mtok": 12, "cache_read_mtok": 0.3}},
    {"id": "made-up-3", "match": {"equals": "made-up-3"}, "prices": [{"prices": {"input_mtok": 9, "output_mtok": 9}}, {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": {"base": 4, "tiers": []}, "output_mtok": "8"}}]},
    {"id": "by request", "match": {"equals": "x"}, "prices": {"requests_kcount": 1}}]}]


@pytest.fixture
def bare(binary, tmp_path):
    """Commands on a data folder without a server."""
    fusebox = Fusebox(binary, tmp_path / "data")
    fusebox.folder.mkdir(mode=0o700)
    return fusebox


def take(fusebox, table, path):
    path.write_text(table if isinstance(table, str) else json.dumps(table))
    return fusebox.run("prices", "import", str(path), "--data-dir", str(fusebox.folder))


def prices(fusebox, *text):
    done = fusebox.run("prices", "list", *text, "--data-dir", str(fusebox.folder), "--format", "json")
    assert done.returncode == 0, done.stderr
    return {row["model"]: row for row in json.loads(done.stdout)}


def figures(row):
    return tuple(row[name] for name in ("input", "cache_read", "cache_write", "output"))


def test_a_table_of_litellm_is_imported(bare, tmp_path):
    done = take(bare, LITELLM, tmp_path / "table.json")
    assert done.returncode == 0, done.stderr
    # One with a provider before its name goes by both names. Neither pictures nor what cannot be a price is a model.
    assert "prices: 4 models, 4 entries skipped" in (done.stdout + done.stderr).decode()
    found = prices(bare, "made-up")
    assert found.keys() == {"made-up-1", "acme/made-up-2", "made-up-2"}
    assert figures(found["made-up-1"]) == (1.5, 0.15, 1.5, 6)
    assert figures(found["made-up-2"]) == figures(found["acme/made-up-2"]) == (2, 2, 2.5, 4)
    assert found["made-up-1"]["source"] == "list price, imported, acme"
    # What was imported beats the built-in list.
    assert figures(prices(bare, "gpt-4o")["gpt-4o"]) == (7, 7, 7, 9)


def test_a_table_of_genai_prices_is_imported_and_replaces_the_one_before(bare, tmp_path):
    assert take(bare, LITELLM, tmp_path / "table.json").returncode == 0
    done = take(bare, GENAI, tmp_path / "data.json")
    assert done.returncode == 0 and "prices: 3 models, 1 entries skipped" in (done.stdout + done.stderr).decode(), done
    found = prices(bare, "made-up")
    assert {model: figures(row) for model, row in found.items()} == {"made-up-1": (3, 0.3, 3, 12), "made-up-one": (3, 0.3, 3, 12), "made-up-3": (4, 4, 4, 8)}
    assert prices(bare, "gpt-4o")["gpt-4o"]["source"].startswith("list price, built in")


def test_prices_yaml_beats_an_import_and_lists_can_be_turned_off(bare, tmp_path):
    assert take(bare, LITELLM, tmp_path / "table.json").returncode == 0
    (bare.folder / "prices.yaml").write_text("models:\n  - {model: made-up-1, input: 100, output: 200, source: our contract}\n")
    found = prices(bare, "made-up")
    assert figures(found["made-up-1"]) == (100, 100, 100, 200) and found["made-up-1"]["source"] == "our contract"
    assert figures(found["made-up-2"]) == (2, 2, 2.5, 4)
    bare.environment["FUSEBOX_LIST_PRICES"] = "false"
    assert prices(bare).keys() == {"made-up-1"}


@pytest.mark.parametrize("table, says", [("nothing", "line 1"), ("{}", "not a price table"), ("[]", "not a price table"), ('[{"models": []}]', "nothing was imported"), ('{"x": {"input_cost_per_token": "a"}}', "nothing was imported"), ('"text"', "not a price table")])
def test_what_is_no_table_is_refused_and_the_one_before_stays(bare, tmp_path, table, says):
    assert take(bare, LITELLM, tmp_path / "table.json").returncode == 0
    done = take(bare, table, tmp_path / "other.json")
    assert done.returncode == 1 and says in done.stderr.decode(), done
    assert "made-up-1" in prices(bare, "made-up-1")
    missing = bare.run("prices", "import", str(tmp_path / "missing.json"), "--data-dir", str(bare.folder))
    assert missing.returncode != 0 and b"missing.json" in missing.stderr


def call(model, end):
    return span(name=f"chat {model}", start=end - 10**9, end=end, attributes=[
        ("workflow_name", "w"), ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", model), ("gen_ai.usage.input_tokens", 1_000_000), ("gen_ai.usage.output_tokens", 1_000_000)])


def test_an_import_counts_for_reports_and_for_a_server_that_starts_with_it(launch, binary, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    bare = Fusebox(binary, folder)
    assert take(bare, LITELLM, tmp_path / "table.json").returncode == 0
    server = launch(folder=folder)
    assert server.post(batch(call("made-up-1", time.time_ns()))).status == 200
    assert server.settled().value("agent_api_cost_dollars_total", service_name="wire", workflow="w", model="made-up-1") == 7.5
    assert server.scalar("SELECT sum(dollars) FROM costs") == 7.5
    (price,) = server.sql("SELECT source FROM prices WHERE model = 'made-up-1'")
    assert price["source"] == "list price, imported, acme"
    report = json.loads(server.run("cost", "--data-dir", str(server.folder), "--since", "1h", "--format", "json").stdout)
    assert sum(row["dollars"] for row in report["sections"]["models"]["rows"]) == 7.5


def test_a_gate_that_asks_for_own_prices_takes_list_prices_for_none(launch, tmp_path):
    def gate(server, **environment):
        server.environment.update(environment)
        done = server.run("gate", "--data-dir", str(server.folder), "--since", "1h", "--format", "json")
        report = json.loads(done.stdout)
        (row,) = [row for row in report["sections"]["gates"]["rows"] if row["gate"] == "usd_per_mtok"]
        return done.returncode, row["result"], done.stdout.decode()

    limits = {"COST_CAP_USD_PER_MTOK": "1000"}
    server = launch(limits)
    assert server.post(batch(call("gpt-4o", time.time_ns()))).status == 200
    code, outcome, _ = gate(server)
    assert (code, outcome) == (0, "pass")
    code, outcome, text = gate(server, GATES_OWN_PRICES="true")
    assert (code, outcome) == (3, "no data") and "only a list price for gpt-4o" in text
    # The server's own answer goes by its own configuration.
    strict = launch({**limits, "GATES_OWN_PRICES": "true"})
    assert strict.post(batch(call("gpt-4o", time.time_ns()))).status == 200
    rows = json.loads(strict.get("/api/gates").body)["sections"]["gates"]["rows"]
    assert [row["result"] for row in rows if row["gate"] == "usd_per_mtok"] == ["no data"]
    (server.folder / "prices.yaml").write_text("models:\n  - {model: gpt-4o, input: 2, output: 8}\n")
    code, outcome, _ = gate(server)
    assert (code, outcome) == (0, "pass")
