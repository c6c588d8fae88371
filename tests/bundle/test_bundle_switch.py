"""Compiling what changed: together, or as many as will go."""

from policy_agent.bundle.switch import compile_changed
from policy_agent.errors import BundleActivationError, PolicyError
from policy_agent.model import Bundle, Manifest
from tests.bundle.engine import Engine


def make(name: str, comment: str = "", *, root: str | None = None, revision: str = "1") -> Bundle:
    manifest = Manifest(revision=revision, roots=(root or name,))
    return Bundle(name, manifest, {"p.rego": f"package {name} # {comment}"}, {})


def named(*bundles: Bundle) -> dict[str, Bundle]:
    return {bundle.name: bundle for bundle in bundles}


def test_all_changed_bundles_are_compiled_at_once():
    engine = Engine()
    outcome = compile_changed(
        named(make("a"), make("b")),
        named(make("b", revision="2"), make("c", "needs b/p.rego")),
        engine.compile,
    )
    assert outcome.snapshot.revisions == {"a": "1", "b": "2", "c": "1"}
    assert outcome.activated == {"b", "c"}
    assert not outcome.failures
    assert len(engine.compiled) == 1


def test_one_bad_bundle_leaves_nothing_to_switch_to():
    engine = Engine()
    outcome = compile_changed(named(make("a")), named(make("a", "bad")), engine.compile)
    assert outcome.snapshot is None
    assert not outcome.activated
    assert isinstance(outcome.failures["a"], PolicyError)


def test_a_bad_bundle_does_not_hold_up_the_others():
    engine = Engine()
    outcome = compile_changed(
        named(make("b")),
        named(make("a"), make("b", "bad", revision="2"), make("c")),
        engine.compile,
    )
    assert outcome.snapshot.revisions == {"a": "1", "b": "1", "c": "1"}
    assert outcome.activated == {"a", "c"}
    assert set(outcome.failures) == {"b"}
    assert engine.still_open == [outcome.snapshot.policy], "intermediate policies are closed"


def test_a_bundle_that_needs_another_changed_one_is_tried_again():
    engine = Engine()
    changed = named(make("a", "needs c/p.rego"), make("b", "bad"), make("c"))
    outcome = compile_changed({}, changed, engine.compile)
    assert outcome.activated == {"a", "c"}
    assert set(outcome.failures) == {"b"}
    assert engine.still_open == [outcome.snapshot.policy]


def test_of_two_bundles_with_one_root_the_first_by_name_wins():
    engine = Engine()
    changed = named(make("b", root="x"), make("a", root="x"))
    outcome = compile_changed({}, changed, engine.compile)
    assert outcome.activated == {"a"}
    assert isinstance(outcome.failures["b"], BundleActivationError)


def test_a_bundle_may_take_over_the_root_that_another_gives_up_at_the_same_time():
    engine = Engine()
    active = named(make("a", root="x"), make("b", root="y"))
    changed = named(make("a", root="z"), make("b", root="x"))
    assert compile_changed(active, changed, engine.compile).activated == {"a", "b"}


def test_an_engine_that_breaks_is_a_failed_activation(caplog):
    outcome = compile_changed({}, named(make("a", "crash")), Engine().compile)
    assert str(outcome.failures["a"]) == "the policy engine failed: KeyError"
    assert "the policy engine failed on bundles a" in caplog.text
