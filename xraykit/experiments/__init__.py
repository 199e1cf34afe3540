"""The reports' questions: experiments, reproduction, timing and the gallery."""
