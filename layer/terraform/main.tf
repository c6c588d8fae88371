# policy-agent as a layer, a bucket for bundles, one for decision logs, and a function that asks.
#
#   make layer-standalone && cd layer/terraform && terraform init && terraform apply

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}

locals {
  buckets = {
    policy = aws_s3_bucket.policy
    audit  = aws_s3_bucket.audit
  }
  own_role = { s3_signing = { environment_credentials = {} } }
  agent_configuration = {
    services = {
      policies = { url = "https://${aws_s3_bucket.policy.bucket_regional_domain_name}", credentials = local.own_role }
      audit    = { url = "https://${aws_s3_bucket.audit.bucket_regional_domain_name}", credentials = local.own_role }
    }
    bundles       = { orders = { service = "policies", resource = var.bundle_key } }
    decision_logs = { sinks = { bucket = { type = "s3", service = "audit" } } }
  }
}

resource "aws_lambda_layer_version" "policy_agent" {
  layer_name               = "policy-agent"
  filename                 = var.layer_zip
  source_code_hash         = filebase64sha256(var.layer_zip)
  compatible_architectures = [var.architecture]
}

resource "aws_s3_bucket" "policy" {
  bucket_prefix = "${var.name}-policy-"
}

resource "aws_s3_bucket" "audit" {
  bucket_prefix = "${var.name}-audit-"
}

# Versioned: an entry that is overwritten or deleted can still be read.
resource "aws_s3_bucket_versioning" "versioned" {
  for_each = local.buckets
  bucket   = each.value.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "encrypted" {
  for_each = local.buckets
  bucket   = each.value.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "private" {
  for_each                = local.buckets
  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "only_tls" {
  for_each = local.buckets
  statement {
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value.arn, "${each.value.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "only_tls" {
  for_each = local.buckets
  bucket   = each.value.id
  policy   = data.aws_iam_policy_document.only_tls[each.key].json
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "agent" {
  statement {
    sid       = "ReadBundles"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.policy.arn}/${var.bundle_key}"]
  }
  statement {
    sid       = "WriteDecisions"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.audit.arn}/decisions/*"]
  }
}

resource "aws_iam_role" "function" {
  name_prefix        = "${var.name}-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "agent" {
  name   = "policy-agent"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.agent.json
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_function" "orders" {
  function_name    = var.name
  role             = aws_iam_role.function.arn
  filename         = var.function_zip
  source_code_hash = filebase64sha256(var.function_zip)
  handler          = "handler.handle"
  runtime          = "python3.13"
  architectures    = [var.architecture]
  memory_size      = 512
  timeout          = 10
  layers           = [aws_lambda_layer_version.policy_agent.arn]
  environment {
    variables = {
      POLICY_AGENT_CONFIG = jsonencode(local.agent_configuration)
    }
  }
}
