/** A link within the page: a real address, followed without loading anew. */
import type { ComponentChildren } from 'preact';
import type { Shared } from './state.js';

export function Link(props: { shared: Shared; to: string; label?: string; children: ComponentChildren }) {
  return (
    <a
      href={props.to}
      {...(props.label === undefined ? {} : { 'aria-label': props.label })}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        props.shared.go(props.to);
      }}
    >
      {props.children}
    </a>
  );
}

export const jobPath = (id: string): string => `/ui/jobs/${encodeURIComponent(id)}`;
