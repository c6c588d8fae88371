"""When things happen under Lambda: register, next event, runtimeDone, SHUTDOWN. Never what."""
