"""Sound as samples: PCM and WAV, resampling, voice activity, prosody at a pause, and our own voice coming back."""
