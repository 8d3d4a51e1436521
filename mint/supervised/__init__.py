"""Multi-task supervised fine-tuning: replies, emotions of seekers, strategies of supporters."""
