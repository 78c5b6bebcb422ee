// Questions as they are typed: one at a time, after a pause, and only the newest one's answer counts.

export class AsTyped<Answer> {
  private newest = '';
  private asked: string | undefined;
  private busy = false;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly ask: (query: string) => Promise<Answer>,
    private readonly show: (query: string, answer: Answer | undefined, error: Error | undefined) => void,
    private readonly delayMs: () => number,
  ) {}

  type(query: string): void {
    this.newest = query;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.next(), this.delayMs());
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private async next(): Promise<void> {
    while (!this.busy && !this.stopped && this.newest !== this.asked) {
      const query = this.newest;
      this.busy = true;
      this.asked = query;
      let answer: Answer | undefined;
      let failure: Error | undefined;
      try {
        answer = await this.ask(query);
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
      }
      this.busy = false;
      if (!this.stopped && query === this.newest) {
        this.show(query, answer, failure);
      }
    }
  }
}
