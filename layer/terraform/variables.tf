variable "name" {
  description = "Of the function, and at the start of the buckets' names."
  type        = string
  default     = "policy-agent-orders"
}

variable "architecture" {
  description = "Of the function and the layer: x86_64 or arm64."
  type        = string
  default     = "x86_64"
  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "Must be x86_64 or arm64."
  }
}

variable "layer_zip" {
  description = "The layer as `make layer-standalone` writes it."
  type        = string
  default     = "../../dist/policy-agent-layer-standalone-x86_64.zip"
}

variable "function_zip" {
  description = "The function's code, zipped: (cd samples/python-orders && zip -r ../../dist/orders-function.zip .)"
  type        = string
  default     = "../../dist/orders-function.zip"
}

variable "bundle_key" {
  description = "Key of the bundle in the policy bucket."
  type        = string
  default     = "orders.tar.gz"
}
