output "policy_bucket" {
  description = "Where the policy team publishes bundles."
  value       = aws_s3_bucket.policy.bucket
}

output "audit_bucket" {
  description = "Where decisions arrive."
  value       = aws_s3_bucket.audit.bucket
}

output "layer_arn" {
  description = "Add this layer to any function."
  value       = aws_lambda_layer_version.policy_agent.arn
}
