"""What cannot be carried out is said before anything is computed: what was given, what was expected, what to do."""

import socket
import threading

import pytest

from samplerfuzz.cli import main as cli
from samplerfuzz.core.errors import UsageError
from samplerfuzz.probe.batch.configurations import checked, columns, read_configurations
from samplerfuzz.probe.batch.meeting import meet
from samplerfuzz.probe.batch.sharding import mesh_of, weight_specs


@pytest.fixture
def refused(capsys, tmp_path):
    def call(*arguments, prompts="Once there was\n", config=None):
        (tmp_path / "prompts.txt").write_text(prompts, encoding="utf-8")
        more = []
        if config is not None:
            (tmp_path / "config.json").write_text(config, encoding="utf-8")
            more = ["--config", str(tmp_path / "config.json")]
        with pytest.raises(SystemExit) as ended:
            cli.main(
                [
                    "probe",
                    "batch",
                    "tiny",
                    "--prompts",
                    str(tmp_path / "prompts.txt"),
                    "--report-dir",
                    str(tmp_path / "out"),
                    *more,
                    *arguments,
                ]
            )
        assert ended.value.code == 2
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    return call


def test_a_file_without_a_prompt_is_told(refused):
    assert "expected one prompt a line, found no line with text" in refused(prompts="\n\n")


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ('[{"temperature": NaN}]', "temperature = nan: expected a real number from -inf to inf"),
        ('[{"temperature": "hot"}]', "temperature = 'hot'"),
        ('[{}, {"top_p": 1.5}]', "configuration 1: top_p = 1.5: expected a real number from 4.94066e-324 to 1"),
        ('[{"top_k": 2.5}]', "top_k = 2.5: expected an integer"),
        ('[{"top_k": Infinity}]', "expected an integer"),
        ('[{"topp": 1}]', "unknown parameter 'topp'; known: "),
        ('[{"xtc_threshold": 0.1}]', "unknown parameter 'xtc_threshold'"),
        ("[]", "expected at least one configuration"),
        ("[3]", "expected an object of parameters, found 3"),
        ("{", "expected a JSON list of objects"),
    ],
)
def test_a_configuration_outside_its_domain_is_told(refused, config, word):
    assert word in refused(config=config)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--temperature", "nan"), "--temperature nan: expected any real number"),
        (("--coordinator", "localhost:80"), "belong together"),
        (("--coordinator", "x:1", "--num-processes", "1", "--process-id", "0", "--distributed", "auto"), "not both"),
        (("--coordinator", "localhost", "--num-processes", "2", "--process-id", "0"), "expected HOST:PORT"),
        (("--coordinator", "localhost:80", "--num-processes", "2", "--process-id", "2"), "expected one of 0 to 1"),
        (("--max-new-tokens", "100000"), "prompt 0 has"),
        (("--first-seed", "4294967295", "--seeds", "2"), "expected at most 4294967294"),
        (("--model-axis", "97"), "expected a divisor of the number of devices"),
        (("--merge-only",), "found no plan.json"),
    ],
)
def test_options_that_do_not_fit_are_told(refused, arguments, word):
    assert word in refused(*arguments)


def test_a_temperature_is_said_in_one_place(refused):
    assert "say it in one place" in refused("--temperature", "1", config='[{"temperature": 2}]')


def test_a_coordinator_that_is_not_there_is_told(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody can come
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = refused("--coordinator", address, "--num-processes", "2", "--process-id", "1", "--connect-timeout", "1")
        assert "not all processes met there within 1 s (Connection refused)" in told
        told = refused("--coordinator", address, "--num-processes", "2", "--process-id", "0", "--connect-timeout", "1")
        assert "cannot listen at port" in told


def free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_the_coordinator_names_who_did_not_come():
    with pytest.raises(UsageError, match=r"process 1, 2 did not come within 0.2 s"):
        meet(free_address(), 3, 0, timeout=0.2)


def test_all_go_when_the_last_has_come_whoever_else_knocks():
    address, done = free_address(), []
    others = [threading.Thread(target=lambda i=i: (meet(address, 3, i, timeout=30), done.append(i))) for i in (2, 1)]
    for thread in others:
        thread.start()
    meet(address, 3, 0, timeout=30)
    for thread in others:
        thread.join()
    assert sorted(done) == [1, 2]


def test_a_file_may_hold_one_configuration_a_line(tmp_path):
    (tmp_path / "lines.jsonl").write_text('{"temperature": "-inf"}\n\n{"top_k": 3, "top_p": 0.5}\n', encoding="utf-8")
    found = read_configurations(tmp_path / "lines.jsonl")
    assert found == [{"temperature": float("-inf")}, {"top_k": 3.0, "top_p": 0.5}]
    told = columns(found)
    assert told["top_k"].tolist() == [0, 3]
    assert told["top_p"].tolist() == [1.0, 0.5]


def test_an_integer_that_is_larger_than_any_vocabulary_is_the_largest():
    assert columns([checked({"penalty_last_n": 1e300}, "here")])["penalty_last_n"].tolist() == [2**31 - 1]


def test_weights_are_cut_where_the_devices_divide_them():
    from samplerfuzz.llama.config import LlamaConfig

    config = LlamaConfig(vocab_size=64, hidden_size=8, intermediate_size=12, num_layers=1, num_heads=4, num_kv_heads=2, head_dim=2)
    cut = {name: tuple(spec) for name, spec in weight_specs(config, 4).items() if spec}
    assert cut == {
        "embedding": ("model",), "head": ("model",), "gate": (None, "model"), "up": (None, "model"), "down": (None, None, "model"),
    }  # fmt: skip
    assert tuple(weight_specs(config, 2)["query"]) == (None, "model")
    assert not any(weight_specs(config, 1).values())
    with pytest.raises(UsageError, match=r"--model-axis 7: divides nothing of this model \(vocab_size 64, heads 2, intermediate_size 12\)"):
        weight_specs(config, 7)


def test_devices_that_do_not_divide_are_told():
    with pytest.raises(UsageError, match="expected a divisor of the number of devices"):
        mesh_of(97)
