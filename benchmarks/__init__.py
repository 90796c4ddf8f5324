"""The benchmarks of streamfold against other libraries: run `make bench`, or `python -m benchmarks --help`.

Timing and reports come from `streamfold.bench`. Only this folder imports openai and httpx-sse.
"""
