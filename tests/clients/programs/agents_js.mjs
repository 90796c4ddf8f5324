// @openai/agents: an agent without tools, run and streamed.

import { Agent, OpenAIResponsesModel, run as runAgent, setTracingDisabled } from "@openai/agents";
import OpenAI from "openai";
import { MODEL, run } from "./report.mjs";

setTracingDisabled(true);

await run(async ({ url, key, input }, show) => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
  const agent = new Agent({ name: "counter", model: new OpenAIResponsesModel(client, MODEL) });
  const result = await runAgent(agent, input, { stream: true });
  for await (const event of result) {
    if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta") show(event.data.delta);
  }
  await result.completed;
  return { final: result.finalOutput };
});
