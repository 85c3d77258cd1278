"""Where rows come from: files, SQL and the author's function, each bad row kept with its origin and the reason."""
