"""A server that ends now and then, whatever it is sent, is one finding, and the rest is tried."""

from samplerfuzz.checks.http.claims import select_claims
from samplerfuzz.checks.http.trial import Trial
from samplerfuzz.engine.served import ServedCampaign
from samplerfuzz.targets.http.exchange import Reply, Request
from samplerfuzz.targets.target import TargetSpec

ORDINARY = Request(path="/completion", body="{}")


class Moody:
    """Stands in for the client of a server that ends at given requests, counted from the first, and at no request in particular."""

    seconds, at_once = 0.1, 3

    def __init__(self, ends_at):
        self.ends_at, self.sent, self.is_gone, self.starts = set(ends_at), 0, False, 0

    def send(self, request):
        self.sent += 1
        self.is_gone |= self.sent in self.ends_at
        return Reply(kind="gone") if self.is_gone else Reply(kind="answered", status=200, text="{}")

    def restart(self):
        self.starts += 1
        self.is_gone = False
        return True


def tried(sender, trials, **given):
    campaign = ServedCampaign(
        sender,
        spec=TargetSpec(name="x", locator="http://127.0.0.1:1", order=(), parameters=(), returns="tokens"),
        claims=select_claims([], []).values(),
        ordinary=ORDINARY,
        seconds=60,
        listener=lambda event: None,
        **given,
    )
    return campaign.run([iter(trials)])


def trials(count):
    return [Trial(requests=(ORDINARY,), judged=lambda replies: (), what=f"trial {i}", about=f"p{i}") for i in range(count)]


def test_losses_that_no_request_explains_are_one_finding():
    sender = Moody(ends_at=(5, 20))
    found = tried(sender, trials(30), restart=sender.restart)
    assert [(f.violation.check, f.repeats) for f in found.findings] == [("process_survives", 2)]
    assert found.findings[0].violation.title == "one of 3 requests ends the server"
    assert sender.starts == 2
    # what was under way when it ended has no answer; everything else has one
    assert found.outcomes["pass"] >= 30 - 2 * 3
    assert "left out" not in found.outcomes


def test_without_a_way_to_start_it_again_the_first_loss_is_the_end():
    sender = Moody(ends_at=(5,))
    found = tried(sender, trials(30))
    assert [f.violation.check for f in found.findings] == ["process_survives"]
    assert found.outcomes["pass"] == 3
