/** Whether a graph can be run, and ComfyUI's words for it if not (0.3.64). Owns nothing. */
import { type InputSpec, inputConfig, NODE_TYPES } from './comfyui-nodes.js';
import { type Complaint, complaint, type Graph } from './comfyui-wire.js';

interface NodeErrors {
  readonly errors: Complaint[];
  readonly dependent_outputs: string[];
  readonly class_type: string;
}

export type Verdict =
  | {
      readonly good: true;
      readonly outputs: readonly string[];
      readonly nodeErrors: Readonly<Record<string, NodeErrors>>;
    }
  | { readonly good: false; readonly error: Complaint; readonly nodeErrors: Readonly<Record<string, NodeErrors>> };

/** A link is `[node id, number of the output]`. */
export function linkOf(value: unknown): { readonly from: string; readonly slot: number } | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [from, slot]: unknown[] = value;
  return typeof from === 'string' && typeof slot === 'number' ? { from, slot } : null;
}

function checkNumber(name: string, spec: InputSpec & { type: 'INT' | 'FLOAT' }, value: unknown): Complaint | null {
  const extra = { input_name: name, input_config: inputConfig(spec), received_value: value };
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) {
    const details = `${name}, ${String(value)}, could not convert to ${spec.type}`;
    return complaint('invalid_input_type', `Failed to convert an input value to a ${spec.type} value`, details, extra);
  }
  if (number < spec.min)
    return complaint('value_smaller_than_min', `Value ${number} smaller than min of ${spec.min}`, name, extra);
  if (number > spec.max)
    return complaint('value_bigger_than_max', `Value ${number} bigger than max of ${spec.max}`, name, extra);
  return null;
}

function checkLink(graph: Graph, name: string, spec: InputSpec & { type: 'link' }, value: unknown): Complaint | null {
  const extra = { input_name: name, input_config: inputConfig(spec), received_value: value };
  const link = linkOf(value);
  const source = link === null ? undefined : graph[link.from];
  if (link === null || source === undefined) {
    return complaint(
      'bad_linked_input',
      'Bad linked input, must be a length-2 list of [node_id, slot_index]',
      name,
      extra,
    );
  }
  const given = NODE_TYPES[source.class_type ?? '']?.outputs[link.slot];
  if (given === spec.of) return null;
  const details = `${name}, received_type(${given}) mismatch input_type(${spec.of})`;
  return complaint('return_type_mismatch', 'Return type mismatch between linked nodes', details, {
    ...extra,
    received_type: given,
  });
}

function checkInput(graph: Graph, name: string, spec: InputSpec, value: unknown): Complaint | null {
  if (value === undefined) {
    return complaint('required_input_missing', 'Required input is missing', name, { input_name: name });
  }
  switch (spec.type) {
    case 'link':
      return checkLink(graph, name, spec, value);
    case 'CHOICE':
      if (typeof value === 'string' && spec.choices.includes(value)) return null;
      return complaint(
        'value_not_in_list',
        'Value not in list',
        `${name}: '${String(value)}' not in [${spec.choices.map((each) => `'${each}'`).join(', ')}]`,
        {
          input_name: name,
          input_config: inputConfig(spec),
          received_value: value,
        },
      );
    case 'STRING':
      return null;
    default:
      return checkNumber(name, spec, value);
  }
}

/** The node and all it depends on, each after its own sources. A circle is left to the run, as ComfyUI does. */
export function upstreamOf(graph: Graph, id: string, seen: Set<string> = new Set()): string[] {
  if (seen.has(id)) return [];
  seen.add(id);
  const sources = Object.values(graph[id]?.inputs ?? {}).flatMap((value) => linkOf(value)?.from ?? []);
  return [...sources.filter((from) => graph[from] !== undefined).flatMap((from) => upstreamOf(graph, from, seen)), id];
}

function complaintsOf(graph: Graph, id: string): Complaint[] {
  const node = graph[id];
  const type = NODE_TYPES[node?.class_type ?? ''];
  if (node === undefined || type === undefined) return [];
  return Object.entries(type.inputs).flatMap(([name, spec]) => checkInput(graph, name, spec, node.inputs[name]) ?? []);
}

const isKnown = (name: string | undefined): name is string => name !== undefined && Object.hasOwn(NODE_TYPES, name);

export function validate(graph: Graph): Verdict {
  const bad = (error: Complaint, nodeErrors: Record<string, NodeErrors> = {}): Verdict => ({
    good: false,
    error,
    nodeErrors,
  });
  const outputs: string[] = [];
  for (const [id, node] of Object.entries(graph)) {
    const details = `Node ID '#${id}'`;
    if (node.class_type === undefined) {
      return bad(
        complaint('invalid_prompt', 'Cannot execute because a node is missing the class_type property.', details),
      );
    }
    if (!isKnown(node.class_type)) {
      return bad(
        complaint('invalid_prompt', `Cannot execute because node ${node.class_type} does not exist.`, details),
      );
    }
    if (NODE_TYPES[node.class_type]?.outputNode === true) outputs.push(id);
  }
  if (outputs.length === 0) return bad(complaint('prompt_no_outputs', 'Prompt has no outputs', ''));
  const nodeErrors: Record<string, NodeErrors> = {};
  const goodOutputs = outputs.filter((output) => {
    let good = true;
    for (const id of upstreamOf(graph, output)) {
      const errors = complaintsOf(graph, id);
      if (errors.length === 0) continue;
      good = false;
      nodeErrors[id] ??= { errors, dependent_outputs: [], class_type: graph[id]?.class_type ?? '' };
      nodeErrors[id].dependent_outputs.push(output);
    }
    return good;
  });
  if (goodOutputs.length > 0) return { good: true, outputs: goodOutputs, nodeErrors };
  return bad(complaint('prompt_outputs_failed_validation', 'Prompt outputs failed validation', ''), nodeErrors);
}
