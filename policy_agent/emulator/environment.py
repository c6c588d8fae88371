"""The environment variables that the runtime and the extensions see. Pure.

Lambda developer guide, "Defined runtime environment variables"; what extensions do not get is from
"Lambda Extensions API" and the init program in aws-lambda-runtime-interface-emulator.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from policy_agent.emulator.settings import FUNCTION_VERSION, MANAGED_INSTANCES, LambdaSettings

_STATIC_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "ASIALOCALLAMBDA",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_SESSION_TOKEN": "local",
}
_WITHHELD = frozenset({"AWS_EXECUTION_ENV", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT"})
_WITHHELD_PREFIXES = ("_", "AWS_LAMBDA_LOG_", "AWS_XRAY_")


def function_environment(
    settings: LambdaSettings, *, api_address: str, python_version: str
) -> dict[str, str]:
    """Return the runtime's whole environment; nothing of the emulator's own is inherited.

    Args:
        api_address: `host:port` of the Runtime API.
        python_version: `3.11`; from 3.12 on awslambdaric lets the function handle signals.
    """
    name = settings.function_name
    search = [os.path.dirname(settings.python), "/usr/local/bin", "/usr/bin", "/bin"]
    if settings.layer_dir is not None:
        search.append(str(settings.layer_dir / "bin"))
    defaults = {
        **_STATIC_CREDENTIALS,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": ":".join(search),
    }
    own_path = [str(path) for path in settings.python_path]
    if "PYTHONPATH" in settings.environment:
        own_path.append(settings.environment["PYTHONPATH"])
    reserved = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{python_version}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": FUNCTION_VERSION,
        "AWS_LAMBDA_INITIALIZATION_TYPE": settings.initialization_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"local/[{FUNCTION_VERSION}]",
        "AWS_LAMBDA_RUNTIME_API": api_address,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": str(settings.function_dir),
        "_HANDLER": settings.handler,
    }
    if settings.initialization_type == MANAGED_INSTANCES:
        reserved["AWS_LAMBDA_MAX_CONCURRENCY"] = str(settings.max_concurrency)
    return {**defaults, **settings.environment, **reserved, "PYTHONPATH": ":".join(own_path)}


def static_credentials(settings: LambdaSettings) -> dict[str, str]:
    """Return the role's credentials by the variables that hold them."""
    given = settings.environment
    return {name: given.get(name, made_up) for name, made_up in _STATIC_CREDENTIALS.items()}


def with_credentials_at(
    environment: Mapping[str, str], variables: Mapping[str, str]
) -> dict[str, str]:
    """Return an environment without static credentials, whose `variables` say where to ask."""
    kept = {name: value for name, value in environment.items() if name not in _STATIC_CREDENTIALS}
    return {**kept, **variables}


def extension_environment(
    function_environment: Mapping[str, str], settings: LambdaSettings
) -> dict[str, str]:
    """Return what an extension sees: the function's variables without the runtime's own.

    The function's PYTHONPATH stays only where the customer set it: Lambda's Python runtime puts its
    directories on `sys.path` itself, and extensions see nothing of that.
    """
    visible = {
        name: value
        for name, value in function_environment.items()
        if name not in _WITHHELD and not name.startswith(_WITHHELD_PREFIXES)
    }
    del visible["PYTHONPATH"]
    if "PYTHONPATH" in settings.environment:
        visible["PYTHONPATH"] = settings.environment["PYTHONPATH"]
    return visible
