"""Receive decision logs, store them, answer questions about them.

`receiver` (HTTP) and `collector` put bodies into the `spool` before they are acknowledged; `ingest`
turns them into rows with `body` and `extract`, puts what is no event into `quarantine`, and appends
the rest to the `store`, an Apache Iceberg table (`table`, `file_io`). `filters` and `render` serve
`policy-agent audit query`; `heads` remembers how far each agent's stream has come, and `verify`
says in `finding`s what of it is missing or changed.
"""
