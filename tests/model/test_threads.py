"""Threads and forked processes share a model: the answers are bit-identical to those of one thread.

Each program runs in a process of its own, so that a crash of machine code is a failure, and so is waiting for ever.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.model import Model, load

TIMEOUT = 120
"""Seconds after which a program counts as deadlocked."""


def model(network: str = "lenet5", seed: int = 3) -> Model:
    graph = nn.trace(zoo.create(network), (1, 28, 28))
    labels = tuple("0123456789")
    state = nn.initial_state(graph, seed)
    return Model(network, graph, state, Preprocessing(1, 28, 28, (0.1,), (0.3,)), labels)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.opsin"
    model().save(path)
    return path


def run(program: str, *arguments: object, cache: Path) -> None:
    """Runs `program`, which prints "fine" at its end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPSIN_CACHE": str(cache)}
    command = [sys.executable, "-X", "faulthandler", "-c", COMMON + program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=TIMEOUT)
    assert (result.returncode, result.stdout) == (0, "fine\n"), result.stderr


COMMON = """
import os, sys, threading, time
import numpy as np
import opsin

PIXELS = np.random.default_rng(0).integers(0, 256, (70, 1, 28, 28)).astype(np.uint8)

def at_once(*works):
    # Runs every function in a thread of its own, all at the same moment; what they return.
    gate, results, errors = threading.Barrier(len(works)), [None] * len(works), []
    def go(number, work):
        gate.wait()
        try:
            results[number] = work()
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=go, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results

def in_children(work, count=1):
    # Whether `work` is true in forked processes; a child that does not end in a minute is stopped.
    children = []
    for _ in range(count):
        child = os.fork()
        if not child:
            code = 1
            try:
                code = 0 if work() else 2
            finally:
                os._exit(code)
        children.append(child)
    until, codes = time.monotonic() + 60, []
    for child in children:
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > until:
                for other in children[len(codes):]:
                    os.kill(other, 9)
                    os.waitpid(other, 0)
                raise SystemExit(f"process {len(codes)} of {count} waits for ever")
            time.sleep(0.01)
        codes.append(ended[1])
    return codes == [0] * count
"""

ASKED = """
from functools import partial
file, count = sys.argv[1], int(sys.argv[2])
model = opsin.load(file)
digits = opsin.data.load("digits").test
sizes = (1, 3, 16, 17, 64, 70)

def answers(model, number):
    first = [model.probabilities(PIXELS[:sizes[(number + turn) % len(sizes)]]) for turn in range(len(sizes))]
    seen = [answer.label for answer in model.predict(PIXELS[number % 70])]
    return [part.tobytes() for part in first], seen, model.evaluate(digits.take(np.arange(40))).loss

found = at_once(*(partial(answers, model, number) for number in range(count)))
alone = opsin.load(file)
assert found == [answers(alone, number) for number in range(count)]
assert sorted(model._programs) == [(1, "float32", False), (64, "float32", False)]
print("fine")
"""
"""Threads use a model that was just loaded, each with another number of images."""


@pytest.mark.parametrize("threads", [4, 16])
def test_threads_share_a_model_that_was_just_loaded(file: Path, tmp_path: Path, threads: int) -> None:
    for _ in ("an empty cache", "a full one"):
        run(ASKED, file, threads, cache=tmp_path)


MIXED = """
import gc
from functools import partial
from opsin import nn, zoo
from opsin.backends.native import compile
from opsin.backends.native.clock import ticks_per_second
from opsin.backends.native.pool import pool
from opsin.backends.native import machine_peak
from opsin.data.decode import bicubic

def trained(number):
    data = opsin.data.load("digits")
    model = opsin.train("lenet5", data, epochs=1, seed=number % 2)
    return b"".join(value.tobytes() for value in model.state.values())

def asked(name):
    graph = nn.trace(zoo.create(name), (3, 32, 32))
    results = []
    for batch in (1, 2, 5):
        program = compile(graph, batch, 2)  # and forgotten while others run
        program.load_state(nn.initial_state(graph, 1))
        images = np.random.default_rng(batch).normal(size=(batch, 3, 32, 32)).astype(np.float32)
        results += [program.run(inputs=images)["logits"].tobytes() for _ in range(20)]
        del program
        gc.collect()
    return results

def classified():
    classifier = opsin.ImageClassifier(network="lenet5", epochs=1, random_state=0)
    labels = np.arange(len(PIXELS)) % 2
    return classifier.fit(PIXELS[:, 0], labels).predict_proba(PIXELS[:, 0]).tobytes()

def lazily():
    return ticks_per_second(), id(pool(3)), id(bicubic._kernel()[0]), len(machine_peak._functions())

works = [partial(trained, 0), partial(trained, 1), partial(trained, 0), classified,
         partial(asked, "resnet20_cifar"), partial(asked, "resnet20_cifar"), partial(asked, "mlperf_tiny_resnet8"),
         lazily, lazily]
found = at_once(*works)
assert found[0] == found[2] != found[1] and found[4] == found[5] and found[7] == found[8]
assert gc.isenabled()
for number in (0, 3, 4, 6):
    assert found[number] == works[number]()
print("fine")
"""
"""Training, estimators and short-lived programs, all cold and at the same time."""


def test_everything_at_once(tmp_path: Path) -> None:
    run(MIXED, cache=tmp_path)


IMPORTED = """
sys.setswitchinterval(1e-5)
at_once(*(lambda name=name: getattr(opsin, name) for name in opsin.__all__))
print("fine")
"""


def test_names_are_imported_by_several_threads(tmp_path: Path) -> None:
    run(IMPORTED, cache=tmp_path)


FORKED = """
from functools import partial
from opsin import nn, zoo
from opsin.backends.native import compile

model = opsin.load(sys.argv[1])
expected = [part.tobytes() for part in (model.probabilities(PIXELS), model.probabilities(PIXELS[:1]))]
fresh, stop = opsin.load(sys.argv[1]), threading.Event()

def child():
    # Models used before, used by another thread at the moment of the fork, or never; programs compiled here.
    graph = nn.trace(zoo.create("lenet5"), (1, 28, 28))
    program = compile(graph, 7)
    program.load_state(nn.initial_state(graph, 0))
    program.run(inputs=np.zeros((7, 1, 28, 28), np.float32))
    for each in (model, fresh, opsin.load(sys.argv[1])):
        def ask_it():
            return [each.probabilities(pixels).tobytes() for pixels in (PIXELS, PIXELS[:1])]
        assert at_once(ask_it, ask_it, ask_it) == [expected] * 3
    return True

def ask():
    while not stop.is_set():
        fresh.probabilities(PIXELS[:20])
        model.probabilities(PIXELS[:1])

def compiling():
    # Kernels that no cache has: LLVM and the locks around it are in use whenever a process is forked.
    for filters in range(3, 200):
        if stop.is_set():
            break
        compile(nn.trace(nn.Sequential(nn.Conv2d(filters, 3), nn.Tanh()), (2, 9, 9)), 1, 1)

busy = [threading.Thread(target=work, daemon=True) for work in (ask, ask, compiling)]
for thread in busy:
    thread.start()
for _ in range(3):
    assert in_children(child, 3)
    time.sleep(0.01)
assert in_children(lambda: child() and in_children(child))  # a child's child
stop.set()
for thread in busy:
    thread.join(60)
    assert not thread.is_alive()
assert [model.probabilities(PIXELS).tobytes(), model.probabilities(PIXELS[:1]).tobytes()] == expected
print("fine")
"""


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@needs_fork
def test_processes_forked_while_threads_compile_and_predict(file: Path, tmp_path: Path) -> None:
    run(FORKED, file, cache=tmp_path)


PRELOADED = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

model = opsin.load(sys.argv[1])
expected = model.probabilities(PIXELS).tobytes()  # as a server that loads and warms up before it forks

def ask(number):
    return model.probabilities(PIXELS).tobytes() == expected

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert all(pool.map(ask, range(12)))
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert all(pool.map(ask, range(4)))
    assert ask(0)
    print("fine")
"""


@needs_fork
def test_a_server_that_forks_its_workers(file: Path, tmp_path: Path) -> None:
    run(PRELOADED, file, cache=tmp_path)


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
model = opsin.load(sys.argv[1])
expected, stop, wrong = opsin.load(sys.argv[1]).probabilities(PIXELS).tobytes(), threading.Event(), []

def ask():
    while not stop.is_set():
        if model.probabilities(PIXELS).tobytes() != expected:
            wrong.append(1)

def interrupt():
    while not stop.wait(0.005):
        os.kill(os.getpid(), signal.SIGINT)

others = [threading.Thread(target=work, daemon=True) for work in (ask, ask, interrupt)]
interrupted = 0
while interrupted < 30:
    try:
        if not interrupted:
            [thread.start() for thread in others if not thread.is_alive()]
        while True:
            assert model.probabilities(PIXELS).tobytes() == expected
    except KeyboardInterrupt:
        interrupted += 1
while not stop.is_set():
    try:
        stop.set()
    except KeyboardInterrupt:
        pass
signal.signal(signal.SIGINT, signal.SIG_IGN)
for thread in others:
    thread.join(30)
    assert not thread.is_alive()
assert model.probabilities(PIXELS).tobytes() == expected and not wrong
print("fine")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals as POSIX systems do")
def test_interrupts_leave_a_model_usable(file: Path, tmp_path: Path) -> None:
    run(INTERRUPTED, file, cache=tmp_path)


def test_a_model_can_be_copied_and_pickled_after_use() -> None:
    mine = model()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28)).astype(np.uint8)
    expected = mine.probabilities(pixels)
    for other in (deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert not other._programs
        assert (other.probabilities(pixels) == expected).all()
    with pytest.raises(TypeError, match="cannot be pickled; pickle its graph and state"):
        pickle.dumps(next(iter(mine._programs.values())))


def test_parameters_are_replaced_between_two_runs(file: Path) -> None:
    mine, other = load(file), model(seed=4)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 1, 28, 28)).astype(np.uint8)
    allowed = {each.probabilities(pixels).tobytes() for each in (mine, other)}
    assert len(allowed) == 2
    states = [dict(mine.state), dict(other.state)]
    actual: list[bytes] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            actual.append(mine.probabilities(pixels).tobytes())

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(40):
        mine.load_state(states[(turn + 1) % 2])
    stop.set()
    for thread in threads:
        thread.join()
    assert actual and set(actual) <= allowed
