"""The bodies of requests and answers: what HTTP reads and writes, with an example each."""
