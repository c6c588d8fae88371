"""policy-agent as a layer, a bucket for bundles, one for decision logs, and a function that asks.

make layer-standalone && cd layer/cdk && cdk deploy
"""

from __future__ import annotations

import json
from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

ROOT = Path(__file__).resolve().parents[2]


class PolicyAgentStack(Stack):
    """Everything that one function with the agent needs."""

    def __init__(self, scope: Construct, name: str, *, layer_zip: Path, bundle_key: str) -> None:
        super().__init__(scope, name)
        policies = self._bucket("Policy")
        decisions = self._bucket("Audit")
        layer = lambda_.LayerVersion(
            self,
            "AgentLayer",
            layer_version_name="policy-agent",
            code=lambda_.Code.from_asset(str(layer_zip)),
            compatible_architectures=[lambda_.Architecture.X86_64],
            removal_policy=RemovalPolicy.RETAIN,
        )
        configuration = {
            "services": {
                name: {
                    "url": f"https://{bucket.bucket_regional_domain_name}",
                    "credentials": {"s3_signing": {"environment_credentials": {}}},
                }
                for name, bucket in (("policies", policies), ("audit", decisions))
            },
            "bundles": {"orders": {"service": "policies", "resource": bundle_key}},
            "decision_logs": {"sinks": {"bucket": {"type": "s3", "service": "audit"}}},
        }
        function = lambda_.Function(
            self,
            "OrdersFunction",
            code=lambda_.Code.from_asset(str(ROOT / "samples" / "python-orders")),
            handler="handler.handle",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.X86_64,
            memory_size=512,
            timeout=Duration.seconds(10),
            layers=[layer],
            environment={"POLICY_AGENT_CONFIG": json.dumps(configuration)},
        )
        grants = {
            "ReadBundles": ("s3:GetObject", policies.arn_for_objects(bundle_key)),
            "WriteDecisions": ("s3:PutObject", decisions.arn_for_objects("decisions/*")),
        }
        for sid, (action, resource) in grants.items():
            function.add_to_role_policy(
                iam.PolicyStatement(sid=sid, actions=[action], resources=[resource])
            )
        CfnOutput(self, "PolicyBucketName", value=policies.bucket_name)
        CfnOutput(self, "AuditBucketName", value=decisions.bucket_name)
        CfnOutput(self, "LayerArn", value=layer.layer_version_arn)

    def _bucket(self, purpose: str) -> s3.Bucket:
        return s3.Bucket(
            self,
            f"{purpose}Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=RemovalPolicy.RETAIN,
            # An entry that is overwritten or deleted can still be read.
            versioned=True,
        )


def main() -> None:
    """Write the template for `cdk`."""
    app = App()
    layer_zip = ROOT / "dist" / "policy-agent-layer-standalone-x86_64.zip"
    PolicyAgentStack(app, "PolicyAgent", layer_zip=layer_zip, bundle_key="orders.tar.gz")
    app.synth()


if __name__ == "__main__":
    main()
