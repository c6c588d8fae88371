"""The central team's commands: from a directory of policies to bundles that agents download.

`build` packs and checks a directory with `archive`; `rego_tests` finds its tests, `test_run` runs
them and `test_report` prints them; `bundle_store` and `bundle_app` serve bundles, with `etag`.
"""
