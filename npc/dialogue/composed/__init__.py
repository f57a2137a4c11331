"""The composed mind: answers from card, knowledge, scene and memory without a language model."""
