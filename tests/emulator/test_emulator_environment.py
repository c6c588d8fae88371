from pathlib import Path

from policy_agent.emulator.environment import extension_environment, function_environment
from policy_agent.emulator.settings import LambdaSettings

SETTINGS = LambdaSettings(
    function_dir=Path("/srv/function"),
    handler="app.handler",
    layer_dir=Path("/srv/layer"),
    environment={
        "STAGE": "test",
        "_PRIVATE": "1",
        "AWS_REGION": "eu-central-1",
        "AWS_LAMBDA_FUNCTION_NAME": "forged",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    },
    memory_mb=256,
    python="/srv/python/bin/python3",
)
OWN = function_environment(SETTINGS, api_address="127.0.0.2:9001", python_version="3.11")
THEIRS = extension_environment(OWN, SETTINGS)


def test_the_runtime_is_told_its_handler_task_root_and_interpreter():
    assert OWN["_HANDLER"] == "app.handler"
    assert OWN["LAMBDA_TASK_ROOT"] == "/srv/function"
    assert OWN["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11"
    assert OWN["PYTHONPATH"] == "/srv/function:/srv/layer/python"
    assert OWN["PATH"].split(":")[0] == "/srv/python/bin"


def test_extensions_do_not_see_what_belongs_to_the_runtime():
    hidden = set(OWN) - set(THEIRS)
    assert hidden == {
        "_HANDLER",
        "_PRIVATE",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_FORMAT",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "PYTHONPATH",
    }


def test_extensions_see_what_lambda_gives_them():
    wanted = {
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.2:9001",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "TZ": ":UTC",
        "STAGE": "test",
    }
    assert wanted.items() <= THEIRS.items()
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PATH"} <= set(
        THEIRS
    )


def test_the_region_can_be_set_and_a_reserved_name_cannot():
    assert OWN["AWS_REGION"] == "eu-central-1"
    assert OWN["AWS_LAMBDA_FUNCTION_NAME"] == "function"


def test_a_python_path_of_the_customer_reaches_the_extension():
    settings = LambdaSettings(
        function_dir=Path("/f"), handler="a.b", environment={"PYTHONPATH": "/mine"}
    )
    own = function_environment(settings, api_address="x", python_version="3.11")
    assert own["PYTHONPATH"] == "/f:/mine"
    assert extension_environment(own, settings)["PYTHONPATH"] == "/mine"
