// Without this line all that is declared here would count as exported.
export {};

/** One token. `value` is the secret; printing the object does not show it. */
export interface Token {
  readonly value: string;
  /** `bearer`, `payment` or `payment-NAME`. */
  readonly slot: string;
  readonly app: string;
  /** Compare for equality and for nothing else. */
  readonly serial: number;
  /** Unix seconds. */
  readonly expiresAt: number;
  /** Null where USPS named none. */
  readonly scopes: readonly string[] | null;
  /** In its last half hour, because USPS cannot be reached: use it, and say so where somebody looks. */
  readonly degraded: boolean;
}

export interface Serials {
  readonly bearer: number;
  readonly payment?: number;
}

// A class of accessors, since these are not enumerable: a spread, and `fetch`, see the headers alone.
declare class AboutHeaders {
  private constructor();
  get serials(): Serials;
  get payment(): string | undefined;
  get app(): string;
  /** Scheme, host and port they are for, and for no other. */
  get baseUrl(): string;
  get degraded(): boolean;
}

/** `Authorization`, and with payment `X-Payment-Authorization-Token`. Printing them shows no token. */
export type TokenHeaders = Readonly<Record<string, string>> & AboutHeaders;

/** What USPS answered, and what the call was made with. */
export interface Report {
  status: number;
  headers?: Headers | Record<string, string> | [string, string][];
  /** Its first 4 KB are told. */
  body?: string | Uint8Array;
  path?: string;
  host?: string;
  used: TokenHeaders | Token | readonly Token[] | Serials;
}

export interface Verdict {
  readonly code: string;
  /** A row of the broker's catalogue of errors. */
  readonly reason: string;
  readonly detail: string;
  readonly fix: string;
  readonly outcome: 'superseded' | 'renewed' | 'throttled' | 'failed' | 'not_the_token' | (string & {});
  /** Send the call once more, with `headers`. */
  readonly retry: boolean;
  /** Seconds. */
  readonly retryAfter: number | null;
  readonly headers?: TokenHeaders;
  readonly serials: Partial<Serials>;
}

/** No token, and why. */
export class BrokerError extends Error {
  /** For programs: stable. */
  readonly code: string;
  /** For people: what happened, and what to do. */
  readonly detail: string;
  readonly fix: string;
  /** Seconds. */
  readonly retryAfter: number | null;
  /** Asking again is useless until a person acts. */
  readonly permanent: boolean;
  /** The broker's HTTP status, where it answered. */
  readonly status?: number;
  readonly reason?: string;
  /** Unix seconds. */
  readonly nextAttemptAt?: number | null;
}

export interface Options {
  /** Path of the broker's socket; without it it is looked for, and USPS_TOKEN_STATIC heeded. */
  socket?: string;
  app?: string;
  /** Seconds over connecting, waiting and trying again; 12. */
  timeout?: number;
}

export interface Wanted {
  slots?: string[];
  /** Seconds of life. */
  minValid?: number;
  /** Seconds. */
  timeout?: number;
}

/** A response of `fetch`; after a 401 with what came of telling the broker, which `statusText` says too. */
export interface UspsResponse extends Response {
  uspsTokenVerdict?: Verdict;
  uspsTokenError?: BrokerError;
}

/** The tokens of one app. All that it gives is a promise, which BrokerError rejects. */
export class TokenClient {
  constructor(options?: Options);
  bearer(): Promise<Token>;
  payment(name?: string): Promise<Token>;
  headers(options?: { payment?: boolean | string }): Promise<TokenHeaders>;
  report(said: Report): Promise<Verdict>;
  status(): Promise<Record<string, unknown>>;
  /** Names of what is missing, as APP/SLOT. */
  unready(wanted?: Wanted): Promise<string[]>;
  waitReady(wanted?: Wanted): Promise<void>;
  /** Of the app's own host no redirect is followed. */
  fetch(
    input: string | URL | Request,
    init?: RequestInit & { payment?: false | string },
  ): Promise<UspsResponse>;
}
