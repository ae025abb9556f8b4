#!/bin/sh
# Prints some columns of a table of the lender's, without their header: sh columns.sh account currency balance < TABLE.csv
# Quotation marks and commas inside of them are understood; the columns printed have none.
set -eu
export LC_ALL=C

awk -v wanted="$*" '
    function cells(line, into,    n, at, c, quoted, cell) {
        n = 0; cell = ""; quoted = 0
        for (at = 1; at <= length(line); at++) {
            c = substr(line, at, 1)
            if (c == "\"") { if (quoted && substr(line, at + 1, 1) == "\"") { cell = cell c; at++ } else quoted = !quoted }
            else if (c == "," && !quoted) { into[++n] = cell; cell = "" }
            else cell = cell c
        }
        into[++n] = cell
        return n
    }
    { sub(/\r$/, "") }
    NR == 1 { count = cells($0, head); for (i = 1; i <= count; i++) place[head[i]] = i
              many = split(wanted, name, " ")
              for (i = 1; i <= many; i++) if (!(name[i] in place)) { print "no column " name[i] > "/dev/stderr"; exit 3 }
              next }
    { cells($0, cell); line = ""
      for (i = 1; i <= many; i++) line = line (i > 1 ? "," : "") cell[place[name[i]]]
      print line; delete cell }
'
