"""The central team's commands: from a directory of policies to bundles that agents download.

`build` packs and checks a directory with `archive`; `signature` signs it by a `signing_key` that
`signing_flags` name, and `inspection` says what is in it, printed by `inspection_report`; both read
`bundle_files`. `rego_tests` finds its tests, `test_run` runs them, `second_opinion` on another
engine too, and `test_report` prints them. `sources` loads what `check` and, by `query_flags`,
`eval` and `bench` read; `eval_report`, `bench_report` and `problem_report` say what came of it.
`bundle_store` and `bundle_app` serve bundles, with `etag`. `output_file` replaces files whole.
"""
