// openai: the events of `responses.create({ stream: true })`.

import OpenAI from "openai";
import { FAILED, MODEL, run } from "./report.mjs";

await run(async ({ url, key, input }, show) => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
  let finished = true;
  for await (const event of await client.responses.create({ model: MODEL, input, stream: true })) {
    if (event.type === "response.output_text.delta") show(event.delta);
    if (FAILED.includes(event.type)) finished = false;
  }
  return { finished };
});
