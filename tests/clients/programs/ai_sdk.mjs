// ai and @ai-sdk/openai: the parts of `streamText()`, which does not raise: an error is one of the parts.

import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";
import { MODEL, run } from "./report.mjs";

await run(async ({ url, key, input }, show) => {
  const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
  const result = streamText({ model: openai.responses(MODEL), prompt: input, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") show(part.text);
    if (part.type === "error") throw part.error;
  }
  return { final: await result.text, finished: (await result.finishReason) === "stop" };
});
