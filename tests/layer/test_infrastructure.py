"""The SAM, CDK and Terraform examples: valid, deployable, least privileged, and the same."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from policy_agent.codec import decode_document
from policy_agent.config import parse_config

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "123456789012", "us-east-1"
CDK_QUALIFIER = "hnb659fds"  # of every stack bootstrapped with the defaults
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
}
EXTRA = "needs policy-agent[infrastructure]"
# What the function's role may do beyond its own log: action by the name of the statement.
GRANTS = {"ReadBundles": "s3:GetObject", "WriteDecisions": "s3:PutObject"}
# The role comes before the function anyway; CDK says so once more.
CDK_IGNORED = "W3005"


def cfn_lint(template, *flags):
    pytest.importorskip("cfnlint", reason=EXTRA)
    program = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [program, *flags, "--", template], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def check_statements(statements):
    own = {statement["Sid"]: statement for statement in statements if "Sid" in statement}
    assert {sid: statement["Action"] for sid, statement in own.items()} == GRANTS
    for statement in own.values():
        assert statement["Effect"] == "Allow"
        assert statement["Resource"] != "*"


@pytest.fixture(scope="module")
def layer_zip(tmp_path_factory):
    """Something that every template takes for the layer; its contents are tested elsewhere."""
    path = tmp_path_factory.mktemp("dist") / "policy-agent-layer-standalone-x86_64.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(ROOT / "layer" / "extensions" / "policy-agent", "extensions/policy-agent")
    return path


@pytest.fixture(scope="module")
def cdk_out(layer_zip, tmp_path_factory):
    """What `cdk synth` writes."""
    pytest.importorskip("aws_cdk", reason=EXTRA)
    if shutil.which("node") is None:
        pytest.skip("needs Node.js")
    out = tmp_path_factory.mktemp("cdk")
    script = (
        "import sys; from pathlib import Path; from aws_cdk import App; import app;"
        f"scope = App(outdir={str(out)!r});"
        f"app.PolicyAgentStack(scope, 'PolicyAgent', layer_zip=Path({str(layer_zip)!r}),"
        " bundle_key='orders.tar.gz'); scope.synth()"
    )
    quiet = {"JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1"}
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "layer" / "cdk",
        env={**os.environ, **quiet},
        check=True,
        capture_output=True,
    )
    return out


@pytest.fixture(scope="module")
def cdk_template(cdk_out):
    return json.loads((cdk_out / "PolicyAgent.template.json").read_text())


@pytest.fixture
def terraform(aws, layer_zip, tmp_path):
    """Runs terraform over a copy of the example, against the stand-in for AWS."""
    if shutil.which("terraform") is None:
        pytest.skip("needs terraform")
    folder = tmp_path / "terraform"
    shutil.copytree(ROOT / "layer" / "terraform", folder)
    (folder / "override.tf").write_text(
        'provider "aws" {\n'
        "  s3_use_path_style           = true\n"
        "  skip_credentials_validation = true\n"
        "}\n"
    )
    function_zip = shutil.make_archive(
        str(tmp_path / "function"), "zip", ROOT / "samples" / "python-orders"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": aws,
        **CREDENTIALS,
        "TF_VAR_layer_zip": str(layer_zip),
        "TF_VAR_function_zip": function_zip,
    }
    plugins = os.environ.get("TF_PLUGIN_DIR")

    def run(*words):
        return subprocess.run(
            ["terraform", f"-chdir={folder}", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    found = run("init", "-input=false", *([f"-plugin-dir={plugins}"] if plugins else []))
    if found.returncode != 0:
        pytest.skip("terraform's AWS provider cannot be had: set TF_PLUGIN_DIR")
    return run


def test_the_sam_template_is_valid():
    cfn_lint(ROOT / "layer" / "sam" / "template.yaml")


def test_the_cdk_template_is_valid(cdk_out):
    cfn_lint(cdk_out / "PolicyAgent.template.json", "--ignore-checks", CDK_IGNORED)


def test_the_cdk_stack_can_be_deployed(aws, cdk_out, cdk_template, monkeypatch):
    boto3 = pytest.importorskip("boto3", reason=EXTRA)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    s3, ssm, cloudformation, functions = (
        boto3.client(service, endpoint_url=aws)
        for service in ("s3", "ssm", "cloudformation", "lambda")
    )
    bucket = f"cdk-{CDK_QUALIFIER}-assets-{ACCOUNT}-{REGION}"
    s3.create_bucket(Bucket=bucket)
    for file in cdk_out.glob("asset.*"):
        name = file.name.removeprefix("asset.")
        if file.is_dir():
            file, name = Path(shutil.make_archive(str(file), "zip", file)), f"{name}.zip"
        s3.upload_file(str(file), bucket, name)
    ssm.put_parameter(Name=f"/cdk-bootstrap/{CDK_QUALIFIER}/version", Value="30", Type="String")
    cloudformation.create_stack(
        StackName="PolicyAgent",
        TemplateBody=json.dumps(cdk_template),
        Capabilities=["CAPABILITY_IAM"],
    )
    [stack] = cloudformation.describe_stacks(StackName="PolicyAgent")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    [function] = functions.list_functions()["Functions"]
    text = function["Environment"]["Variables"]["POLICY_AGENT_CONFIG"]
    buckets = outputs["PolicyBucketName"], outputs["AuditBucketName"]
    check_configuration(text, policies=buckets[0], audit=buckets[1])


def check_configuration(text, *, policies, audit):
    """Bundles come from one bucket and decisions go to the other, and nowhere else."""
    config = parse_config(decode_document(text.encode()))
    assert config.warnings == ()
    assert policies in config.bundles["orders"].service.url
    [sink] = config.decision_logs.sinks.values()
    assert audit in sink.service.url
    assert config.decision_logs.service is None


def test_the_sam_template_configures_the_agent():
    text = (ROOT / "layer" / "sam" / "template.yaml").read_text()
    start = text.index("POLICY_AGENT_CONFIG: !Sub |") + len("POLICY_AGENT_CONFIG: !Sub |\n")
    document = textwrap.dedent(text[start : text.index("      Policies:")])
    for name, value in {
        "PolicyBucket": "p",
        "AuditBucket": "a",
        "AWS::Region": REGION,
        "AWS::URLSuffix": "amazonaws.com",
        "BundleKey": "k",
    }.items():
        document = document.replace(f"${{{name}}}", value)
    check_configuration(document, policies="//p.s3", audit="//a.s3")


def test_the_cdk_stack_gives_the_function_the_layer(cdk_template):
    # The stand-in for AWS does not follow this reference.
    resources = cdk_template["Resources"].items()
    [layer] = [name for name, r in resources if r["Type"] == "AWS::Lambda::LayerVersion"]
    [function] = [r for _, r in resources if r["Type"] == "AWS::Lambda::Function"]
    assert function["Properties"]["Layers"] == [{"Ref": layer}]


def test_the_cdk_stack_grants_no_more_than_it_needs(cdk_template):
    [policy] = [
        resource["Properties"]["PolicyDocument"]["Statement"]
        for resource in cdk_template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Policy"
    ]
    check_statements(policy)


def test_the_sam_template_grants_no_more_than_it_needs():
    text = (ROOT / "layer" / "sam" / "template.yaml").read_text()
    policies = text[text.index("      Policies:") : text.index("      Events:")]
    sids = re.findall(
        r"Sid: (\w+)\n\s+Effect: Allow\n\s+Action: (\S+)\n\s+Resource: (\S+)", policies
    )
    assert {sid: action for sid, action, _ in sids} == GRANTS
    assert "*" not in [resource for _, _, resource in sids]


def test_the_terraform_example_is_formatted_and_valid(terraform):
    assert terraform("fmt", "-check", "-diff").stdout == ""
    validated = terraform("validate", "-json")
    assert json.loads(validated.stdout)["diagnostics"] == []


def test_the_terraform_example_can_be_applied(aws, terraform, monkeypatch):
    boto3 = pytest.importorskip("boto3", reason=EXTRA)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    iam, functions = (boto3.client(service, endpoint_url=aws) for service in ("iam", "lambda"))
    applied = terraform("apply", "-auto-approve", "-input=false", "-no-color")
    assert applied.returncode == 0, applied.stderr
    outputs = json.loads(terraform("output", "-json").stdout)
    function = functions.get_function(FunctionName="policy-agent-orders")["Configuration"]
    assert [layer["Arn"] for layer in function["Layers"]] == [outputs["layer_arn"]["value"]]
    text = function["Environment"]["Variables"]["POLICY_AGENT_CONFIG"]
    buckets = outputs["policy_bucket"]["value"], outputs["audit_bucket"]["value"]
    check_configuration(text, policies=buckets[0], audit=buckets[1])
    role = function["Role"].rpartition("/")[2]
    policy = iam.get_role_policy(RoleName=role, PolicyName="policy-agent")["PolicyDocument"]
    check_statements(policy["Statement"])
