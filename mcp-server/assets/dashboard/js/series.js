// What was seen since the page was opened, one sample for each status, for the lines over time.

/** Samples that are kept: ten minutes. */
export const LENGTH = 600;
/** Samples of a small line: two minutes. */
export const SPARK_LENGTH = 120;

/** Columns of figures by time; the oldest make room. */
export class Series {
  times = [];
  columns = new Map();

  /** Adds a sample: a time in seconds and figures by name; null where there is none. */
  push(time, figures) {
    const index = this.times.length;
    this.times.push(time);
    for (const [name, value] of Object.entries(figures)) {
      if (!this.columns.has(name)) this.columns.set(name, new Array(index).fill(null));
      this.columns.get(name)[index] = Number.isFinite(value) ? value : null;
    }
    for (const column of this.columns.values()) if (column.length <= index) column[index] = null;
    if (this.times.length > LENGTH) {
      this.times.shift();
      for (const [name, column] of this.columns) {
        column.shift();
        if (column.every((value) => value === null)) this.columns.delete(name);
      }
    }
  }

  column(name) {
    return this.columns.get(name) ?? new Array(this.times.length).fill(null);
  }

  /** The end of a column. */
  latest(name, length) {
    return this.column(name).slice(-length);
  }
}

/** The calls of several windows together; percentiles are those of the slowest, for they do not add up. */
export function together(windows) {
  const sum = (name) => windows.reduce((all, window) => all + window[name], 0);
  const most = (name) => windows.reduce((all, window) => Math.max(all, window[name]), 0);
  const calls = sum("calls");
  const mean = windows.reduce((all, window) => all + window.mean_ms * window.calls, 0);
  return {
    calls,
    errors: sum("errors"),
    caller_errors: sum("caller_errors"),
    per_second: sum("per_second"),
    mean_ms: calls ? mean / calls : 0,
    p50_ms: most("p50_ms"),
    p95_ms: most("p95_ms"),
    p99_ms: most("p99_ms"),
    max_ms: most("max_ms"),
  };
}
