"""What leaves for other learning systems: xAPI, cmi5, SCORM and LTI, and the outbox that loses nothing of it."""
