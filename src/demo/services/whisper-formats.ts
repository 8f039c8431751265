/**
 * whisper-server's answers in its response formats (whisper.cpp v1.9.3; types, blanks and line ends as that version
 * sends them). Owns nothing.
 */

export interface Segment {
  readonly text: string;
  readonly startS: number;
  readonly endS: number;
}

export interface Transcript {
  readonly segments: readonly Segment[];
  readonly durationS: number;
  readonly languageProbabilities: boolean;
}

export interface FormattedAnswer {
  readonly contentType: string;
  readonly body: string;
}

/** `00:00:10.000`, with the given mark before the milliseconds. */
function timeStamp(seconds: number, mark: ',' | '.'): string {
  const milliseconds = Math.round(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = two(Math.floor(milliseconds / 3_600_000));
  const minutes = two(Math.floor(milliseconds / 60_000) % 60);
  const rest = `${two(Math.floor(milliseconds / 1000) % 60)}${mark}${String(milliseconds % 1000).padStart(3, '0')}`;
  return `${hours}:${minutes}:${rest}`;
}

const plainText = (transcript: Transcript): string =>
  transcript.segments.map((segment) => ` ${segment.text}\n`).join('');

/** One token a word, its number the word's place; a real model's are the numbers of its vocabulary. */
function verboseSegment(segment: Segment, id: number): object {
  const words = segment.text.split(/\s+/).filter((word) => word !== '');
  const wordS = (segment.endS - segment.startS) / Math.max(1, words.length);
  return {
    avg_logprob: -0.05,
    end: segment.endS,
    id,
    no_speech_prob: 0,
    start: segment.startS,
    temperature: 0,
    text: ` ${segment.text}`,
    tokens: words.map((_, index) => index),
    words: words.map((word, index) => ({
      end: segment.startS + (index + 1) * wordS,
      probability: 0.98,
      start: segment.startS + index * wordS,
      t_dtw: -1,
      word: ` ${word}`,
    })),
  };
}

function verbose(transcript: Transcript): object {
  return {
    ...(transcript.languageProbabilities && {
      detected_language: 'english',
      detected_language_probability: 0.99,
    }),
    duration: transcript.durationS,
    language: 'english',
    ...(transcript.languageProbabilities && { language_probabilities: { en: 0.99 } }),
    segments: transcript.segments.map(verboseSegment),
    task: 'transcribe',
    text: plainText(transcript),
  };
}

/** An unknown format gives `json`, as in the real server. */
export function formatTranscript(transcript: Transcript, format: string): FormattedAnswer {
  const stamped = (mark: ',' | '.'): string[] =>
    transcript.segments.map(
      ({ startS, endS, text }) => `${timeStamp(startS, mark)} --> ${timeStamp(endS, mark)}\n ${text}\n\n`,
    );
  switch (format) {
    case 'text':
      return { contentType: 'text/html; charset=utf-8', body: plainText(transcript) };
    case 'srt':
      return {
        contentType: 'application/x-subrip',
        body: stamped(',')
          .map((entry, index) => `${index + 1}\n${entry}`)
          .join(''),
      };
    case 'vtt':
      return { contentType: 'text/vtt', body: `WEBVTT\n\n${stamped('.').join('')}` };
    case 'verbose_json':
      return { contentType: 'application/json', body: JSON.stringify(verbose(transcript)) };
    default:
      return { contentType: 'application/json', body: JSON.stringify({ text: plainText(transcript) }) };
  }
}
