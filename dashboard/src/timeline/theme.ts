/** The page's colours for the canvas, read from the style sheet, so that there is one place for them. */

export interface Theme {
  readonly surface: string;
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly bad: string;
  readonly onColour: string;
  readonly memory: string;
  readonly consumers: readonly string[];
  readonly font: string;
}

/** As many as the style sheet has; consumers beyond share them, their names tell them apart. */
export const COLOURS = 10;

export function readTheme(element: Element): Theme {
  const style = getComputedStyle(element);
  const value = (name: string): string => style.getPropertyValue(name).trim();
  return {
    surface: value('--surface'),
    text: value('--text'),
    muted: value('--muted'),
    line: value('--line'),
    bad: value('--bad'),
    onColour: value('--on-colour'),
    memory: value('--memory'),
    consumers: Array.from({ length: COLOURS }, (_, index) => value(`--c${index}`)),
    font: style.fontFamily,
  };
}
