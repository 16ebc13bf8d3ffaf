// Package bench measures the two daemons, as processes, beside a reference in
// the same run: `make bench`. README.md has the figures and what was learned
// from them. There is nothing here but benchmarks; each ignores b.N and prints
// a table.
package bench
