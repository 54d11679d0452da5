"""Proves from Kafka alone which events a result came from: the digest chain of the delivery protocol, computed anew."""
import hashlib

ENDS = ("TaskCompleted", "TaskFailed", "TaskCancelled")


def digest_of(parents, value):
    """First 16 bytes of SHA-256 over the parents' digests and the event without its wire header."""
    return hashlib.sha256(b"".join(parents) + value[5:]).digest()[:16]


def chain(history):
    """The digests of a task's events, which are given by seq without a gap."""
    digests, group, before = [], [], []  # group: of the newest model answer and its tools; before: the group before that
    for event in history:
        if event.kind == "ToolAnswered":
            digests.append(digest_of([group[0]], event.value))
        else:
            before, group = group, []
            digests.append(digest_of(before, event.value))
        group.append(digests[-1])
    return digests


def check_history(history, result=None):
    """Seqs without a gap, one terminal event (per opening) at the end, groups full, digests as ce_id and result say."""
    kinds = [e.kind for e in history]
    ids = [e.header("ce_id") for e in history]
    assert [e.data["seq"] for e in history] == list(range(len(history))), ids
    assert kinds[0] == "TaskStarted" and kinds[-1] in ENDS, kinds
    assert sum(k in ENDS for k in kinds) == 1 + kinds.count("TaskReopened"), kinds
    for at, event in enumerate(history):
        if event.kind == "ModelAnswered":
            asked = event.body["tool_calls"]
            answers = history[at + 1:at + 1 + len(asked)]
            assert [a.kind for a in answers] == ["ToolAnswered"] * len(asked), kinds
            assert [a.body["call_id"] for a in answers] == [c["id"] for c in asked]
    digests = chain(history)
    assert ids == [f"{e.data['task_id']}/{seq}/{d.hex()}" for seq, (e, d) in enumerate(zip(history, digests))]
    if result is not None:
        assert result["history"] == digests[-1].hex()
        assert result["steps_used"] == kinds.count("ModelAnswered")
        assert result["tool_calls"] == kinds.count("ToolAnswered")
