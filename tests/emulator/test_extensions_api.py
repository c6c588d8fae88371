"""The answers that wrong calls get, as Lambda's init program gives them."""

import asyncio

from policy_agent.emulator.sandbox import LocalLambda

EXPECTED = {
    "no-name": (403, "Extension.InvalidExtensionName"),
    "bad-json": (403, "InvalidRequestFormat"),
    "unknown-event": (403, "Extension.InvalidEventType"),
    "not-a-file": (403, "Extension.InvalidEventType"),
    "twice": (403, "Extension.InvalidExtensionState"),
    "no-id": (403, "Extension.MissingExtensionIdentifier"),
    "bad-id": (403, "Extension.InvalidExtensionIdentifier"),
    "strange-id": (403, "Extension.UnknownExtensionIdentifier"),
    "no-error-type": (403, "Extension.MissingHeader"),
    "init-error-after-next": (403, "Extension.InvalidExtensionState"),
    "subscribe-late": (403, "Telemetry.SubscriptionClosed"),
    "register-late": (403, "Extension.RegistrationClosed"),
}


def test_wrong_calls_get_lambdas_status_and_error_type(answers):
    got = {
        case: (answer["status"], answer["body"]["errorType"])
        for case, answer in answers.items()
        if case in EXPECTED
    }
    assert got == EXPECTED
    assert all(answers[case]["body"]["errorMessage"] for case in EXPECTED)


def test_unknown_paths_and_verbs_are_answered_without_json(answers):
    assert answers["wrong-verb"]["status"] == 405
    assert answers["wrong-verb"]["body"] == ""
    assert answers["unknown-path"]["status"] == 404


def test_registering_tells_the_function_and_its_handler(answers):
    assert answers["registered"]["status"] == 200
    assert answers["registered"]["body"] == {
        "functionName": "function",
        "functionVersion": "$LATEST",
        "handler": "app.handler",
    }


def test_a_second_next_while_one_is_pending_is_refused(bench, run, eventually):
    bench.extension(
        "agent",
        """
        def poll():
            answer, body = call('GET', '/2020-01-01/extension/event/next', Identifier=own_id())
            note(status=answer.status, body=body)
        register('INVOKE')
        for _ in range(2):
            threading.Thread(target=poll).start()
        """,
    )

    async def scenario():
        async with LocalLambda(bench.settings(freeze=False)) as env:
            await env.init()
            await eventually(lambda: bench.notes("agent"))

    run(scenario())
    [refused] = bench.notes("agent")
    assert refused["status"] == 403
    assert refused["body"]["errorType"] == "Extension.InvalidExtensionState"


def test_the_account_is_told_to_those_who_ask(bench, run):
    bench.extension(
        "agent",
        """
        path = '/2020-01-01/extension/register'
        answer, body = call('POST', path, {'events': []}, Name=NAME, Accept_Feature='accountId')
        note(**body)
        """,
    )

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await env.init()

    run(scenario())
    assert bench.notes("agent")[0]["accountId"] == "123456789012"


def test_an_internal_extension_may_register_from_the_runtime(bench, run):
    bench.handler("""
        import http.client, os, threading
        api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
        headers = {"Lambda-Extension-Name": "inside"}
        api.request("POST", "/2020-01-01/extension/register", '{"events": ["INVOKE"]}', headers)
        answer = api.getresponse()
        answer.read()
        own = {"Lambda-Extension-Identifier": answer.getheader("Lambda-Extension-Identifier")}
        seen = threading.Event()
        def poll():
            while True:
                api.request("GET", "/2020-01-01/extension/event/next", headers=own)
                api.getresponse().read()
                seen.set()
        threading.Thread(target=poll, daemon=True).start()
        def handler(event, context):
            return seen.wait(2)
    """)

    async def scenario():
        async with LocalLambda(bench.settings(layer_dir=None)) as env:
            invocation = await env.invoke({})
            completion = await invocation.completed()
            return invocation.response, completion.status

    assert run(scenario()) == (True, "success")


def test_an_eleventh_extension_is_refused(bench, run, eventually):
    # Registration closes when the runtime is ready.
    bench.handler("import time\ntime.sleep(60)")
    bench.extension(
        "agent",
        """
        register('INVOKE')
        path = '/2020-01-01/extension/register'
        for number in range(10):
            answer, body = call('POST', path, {'events': []}, Name=f'inside-{number}')
            note(status=answer.status, body=body)
        """,
    )

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            init = asyncio.create_task(env.init())
            await eventually(lambda: len(bench.notes("agent")) == 10)
            await env.destroy()
            return (await init).failure

    assert run(scenario()) is not None
    notes = bench.notes("agent")
    assert [note["status"] for note in notes] == [200] * 9 + [403]
    assert notes[-1]["body"]["errorType"] == "Extension.TooManyExtensions"
