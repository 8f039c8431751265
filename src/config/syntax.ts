/** What is wrong with a text that is no YAML, in our words. Owns no state. */
import type { ErrorCode } from 'yaml';

/** The library's own sentences can quote the text around the error, and with it a secret: so we say it ourselves. */
export const SYNTAX: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'an alias cannot carry an anchor or a tag; remove them',
  BAD_ALIAS: 'not a valid alias; write *NAME, with &NAME before it',
  BAD_COLLECTION_TYPE: 'the tag does not fit this value; remove the tag',
  BAD_DIRECTIVE: 'not a YAML directive; remove the line that begins with %',
  BAD_DQ_ESCAPE: 'not a valid escape between double quotes; use single quotes or double the backslash',
  BAD_INDENT: 'wrong indentation, or a bracket that is not closed; entries of one block begin at the same column',
  BAD_PROP_ORDER: 'anchor or tag in the wrong place; write it before the value',
  BAD_SCALAR_START: 'a plain value cannot begin with this character; put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a nested value where a plain one belongs; put the nested one on its own line, or quote the value',
  BLOCK_IN_FLOW: 'an indented block inside brackets; write it inside the brackets too',
  DUPLICATE_KEY: 'the key stands here twice; keep one of them',
  IMPOSSIBLE: 'cannot be read as YAML; look at the indentation and the quotes around here',
  KEY_OVER_1024_CHARS: 'the key is longer than 1024 characters; look for a missing quote before it',
  MISSING_CHAR: 'a character is missing here (a colon, a comma, a quote or a bracket); add it',
  MULTILINE_IMPLICIT_KEY: 'a key over several lines; look for a missing colon or quote before it',
  MULTIPLE_ANCHORS: 'two anchors on one value; keep one',
  MULTIPLE_DOCS: 'a second document begins here; one file holds one configuration, remove the --- line',
  MULTIPLE_TAGS: 'two tags on one value; keep one',
  NON_STRING_KEY: 'a key must be a plain word; look for a value in braces that lacks its quotes',
  RESOURCE_EXHAUSTION: 'nested too deeply; flatten it',
  TAB_AS_INDENT: 'a tab as indentation; use blanks',
  TAG_RESOLVE_FAILED: 'an unknown tag; remove the word that begins with ! or put the value in quotes',
  UNEXPECTED_TOKEN: 'something that does not belong here; look for a quote, bracket or colon too many',
};
