// openai: the helper `responses.stream()`, which builds the Response.

import OpenAI from "openai";
import { MODEL, run } from "./report.mjs";

await run(async ({ url, key, input }, show) => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
  const events = client.responses.stream({ model: MODEL, input });
  for await (const event of events) {
    if (event.type === "response.output_text.delta") show(event.delta);
  }
  const response = await events.finalResponse();
  return { final: response.output_text, finished: response.status === "completed" };
});
