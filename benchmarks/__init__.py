"""The benchmarks of streamfold against other readers: `python -m benchmarks`, or `make bench`.

What is measured without them lives in `streamfold.bench`. Only here are openai and httpx-sse imported.
"""
