"""Who knows what, when: facts, the gate before retrieval, ingestion of documents, hybrid search."""
