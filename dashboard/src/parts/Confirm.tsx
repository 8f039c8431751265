/** The question before an action: what it will do is said first; then it is done, or the daemon's words are shown. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { act } from '../data/ask.js';
import { type Action, asked } from '../data/consequence.js';
import type { Shared } from './state.js';

interface ConfirmProps {
  readonly shared: Shared;
  readonly action: Action;
  readonly close: () => void;
  readonly said: (text: string) => void;
}

export function Confirm({ shared, action, close, said }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const { status, jobs, happenings } = shared.world;
  const running = [...jobs.values()].filter(({ state }) => state === 'running').length;
  const question = asked(action, {
    consumers: status?.consumers ?? {},
    happenings,
    running,
    waiting: jobs.size - running,
  });
  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  async function confirm(): Promise<void> {
    setBusy(true);
    try {
      await act(question.method, question.path);
      said(`Done: ${question.button.toLowerCase()} ${action.subject}`.trim());
      close();
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} aria-labelledby="question" aria-describedby="consequence" onClose={close}>
      <h2 id="question">{question.title}</h2>
      <p id="consequence">{question.consequence}</p>
      {failure !== null && (
        <p class="failure" role="alert">
          {failure}
        </p>
      )}
      <div class="buttons">
        <button type="button" onClick={() => dialog.current?.close()}>
          {busy ? 'Close' : 'Leave it'}
        </button>
        <button type="button" class="do" disabled={busy} onClick={() => void confirm()}>
          {busy ? 'Under way' : question.button}
        </button>
      </div>
    </dialog>
  );
}
