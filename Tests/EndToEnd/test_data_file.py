"""The data file is removed, replaced or shared under a running server: nothing is acknowledged that would not be found again."""

import os
import shutil
import threading
import time

import pytest

from server import Fusebox, poll
from test_storage_faults import FAILED, FILE, LOG, post, refused, stored, takes_again

INDEX, LOCK = "fusebox.db-shm", "fusebox.lock"


def not_ready(fusebox):
    poll("readiness says no", lambda: fusebox.get("/-/ready").status == 503, 5)


def remove(fusebox):
    (fusebox.folder / FILE).unlink()


def remove_all(fusebox):
    for name in (FILE, LOG, INDEX, "fusebox.mark", LOCK):
        (fusebox.folder / name).unlink()


def remove_folder(fusebox):
    shutil.rmtree(fusebox.folder)


def replace_folder(fusebox):
    fusebox.folder.rename(fusebox.folder.with_name("elsewhere"))
    shutil.copytree(fusebox.folder.with_name("elsewhere"), fusebox.folder)


def replace_by_a_copy(fusebox):
    copy = fusebox.folder / "copy"
    shutil.copy(fusebox.folder / FILE, copy)
    copy.rename(fusebox.folder / FILE)


def remove_log(fusebox):
    (fusebox.folder / LOG).unlink()


def remove_index(fusebox):
    (fusebox.folder / INDEX).unlink()


@pytest.mark.parametrize("change", [remove, remove_all, remove_folder, replace_folder, replace_by_a_copy, remove_log, remove_index],
                         ids=lambda change: change.__name__)
def test_nothing_is_acknowledged_once_the_file_is_not_where_it_was(launch, change):
    fusebox = launch()
    trace, answer = post(fusebox)
    assert answer.status == 200
    change(fusebox)
    # The very next one, without anybody having had time to notice.
    message = refused(fusebox)
    assert "fusebox.db" in message and ("was removed" in message or "was replaced" in message), message
    not_ready(fusebox)
    assert fusebox.metrics().value("fusebox_refusing_spans", reason="data_file") == 1
    poll("the log says so", lambda: "spans are refused (data_file)" in fusebox.stderr)
    refused(fusebox)
    assert fusebox.stderr.count("spans are refused") == 1


def test_a_span_that_is_there_already_is_not_acknowledged_either(launch):
    fusebox = launch()
    from wire import batch, span, span_id, trace_id
    body = batch(span(trace_id(), span_id()))
    assert fusebox.post(body).status == 200
    remove(fusebox)
    assert fusebox.post(body).status == 503


def test_what_was_acknowledged_survives_the_removal_of_the_log_alone(launch):
    fusebox = launch()
    traces = [post(fusebox)[0] for _ in range(5)]
    remove_log(fusebox)
    refused(fusebox)
    poll("the log is in the file", lambda: (fusebox.folder / FILE).stat().st_size > 4096)
    time.sleep(1)
    fusebox.kill()
    fusebox.start()
    assert set(stored(fusebox)) == set(traces)


def test_a_folder_that_comes_back_is_written_to_again(launch):
    fusebox = launch()
    first, _ = post(fusebox)
    away = fusebox.folder.with_name("away")
    fusebox.folder.rename(away)
    refused(fusebox)
    away.rename(fusebox.folder)
    second = takes_again(fusebox)
    poll("readiness says yes", lambda: fusebox.get("/-/ready").status == 200)
    assert set(stored(fusebox)) == {first, second}
    poll("the log says so", lambda: "spans are stored again" in fusebox.stderr)


def test_a_file_with_two_names_is_not_opened(launch, binary, tmp_path):
    fusebox = launch()
    first, _ = post(fusebox)
    second = tmp_path / "second"
    second.mkdir()
    os.link(fusebox.folder / FILE, second / FILE)
    # The server that has it takes nothing while it is shared,
    assert "hard link" in refused(fusebox)
    # a second one does not start,
    done = Fusebox(binary, second).run("serve", "--data-dir", str(second), "--http-port", "0")
    assert done.returncode == FAILED and b"hard link" in done.stderr, done.stderr
    (second / FILE).unlink()
    # and when the other name is gone all is well.
    third = takes_again(fusebox)
    assert set(stored(fusebox)) == {first, third}


def test_a_file_that_is_a_symbolic_link_is_not_opened(launch, binary, tmp_path):
    fusebox = launch()
    post(fusebox)
    second = tmp_path / "second"
    second.mkdir()
    os.symlink(fusebox.folder / FILE, second / FILE)
    done = Fusebox(binary, second).run("serve", "--data-dir", str(second), "--http-port", "0")
    assert done.returncode == FAILED and b"symbolic link" in done.stderr, done.stderr
    assert post(fusebox)[1].status == 200


def test_a_folder_may_be_a_symbolic_link(launch, tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "link")
    fusebox = launch(folder=tmp_path / "link")
    assert post(fusebox)[1].status == 200


def test_a_lock_file_that_is_removed_is_made_again(launch, binary):
    fusebox = launch()
    (fusebox.folder / LOCK).unlink()
    assert post(fusebox)[1].status == 200
    assert (fusebox.folder / LOCK).exists()
    done = Fusebox(binary, fusebox.folder).run("serve", "--data-dir", str(fusebox.folder), "--http-port", "0")
    assert done.returncode == FAILED and b"in use by another fusebox" in done.stderr, done.stderr


def test_an_inbox_that_is_removed_is_made_again(launch, tmp_path):
    fusebox = launch()
    evals = tmp_path / "evals.jsonl"
    evals.write_text('{"eval_id":"a","name":"exact","score":1}\n')
    for _ in range(2):
        done = fusebox.run("eval", "import", "--data-dir", str(fusebox.folder), str(evals))
        assert done.returncode == 0, done
        shutil.rmtree(fusebox.folder / "inbox")


def test_removed_in_the_middle_of_many_exports(launch):
    """Whatever was answered 200 is in the file that was moved away; nothing after it is answered so."""
    fusebox = launch()
    acknowledged, stopping = [], threading.Event()

    def send():
        while not stopping.is_set():
            trace, answer = post(fusebox)
            if answer.status == 200:
                acknowledged.append(trace)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    poll("spans come", lambda: len(acknowledged) > 50)
    away = fusebox.folder.with_name("away")
    fusebox.folder.rename(away)
    time.sleep(0.5)
    count = len(acknowledged)
    time.sleep(0.5)
    stopping.set()
    for sender in senders:
        sender.join()
    assert len(acknowledged) == count
    fusebox.kill()
    away.rename(fusebox.folder)
    fusebox.start()
    assert set(acknowledged) <= set(stored(fusebox))
