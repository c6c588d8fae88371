"""Untrusted bytes become a verified `Bundle`, and bundles become the active `Snapshot`.

In the order of the data: `origins` (service and mirrors), `download` (one conditional GET), `oci`
and `registry`, or `directory` (local files); `archive` and `tar` (unpack within limits), `verify`,
`digest` and `file_glob` (signature), `manifest`, `roots`, `package_name`, `documents` and
`yaml_size` (contents), all driven by `reader`; then `activate` (bundles side by side), `switch`
(compile what changed), `persist` (last good copy), `schedule` (when to ask again), `history`
(status) and `manager`, which runs them.
"""
