#!/bin/sh
# Makes a package for the lender out of one table: datapackage.json and the CSV, zipped. POSIX sh, awk, sha256sum, zip.
#
#   LENDER=harbour AGENCY=quayside sh pack.sh KIND TABLE.csv NUMBER [PREVIOUS]
#
# KIND is acknowledgement, activity, return, remittance, invoice, erasure_certificate, correction_confirmation, complaint,
# plan, hold_request, recall_objection, refusal or fingerprint. NUMBER counts 1, 2, 3 … per lender and kind; `next` is the
# one after the highest in sent/ and out/. PREVIOUS is the sealed file you sent before this one of that kind. Prints the package's path.
set -eu
export LC_ALL=C

die() { echo "pack.sh: $1" >&2; exit 2; }

[ $# -ge 3 ] || die "say: KIND TABLE.csv NUMBER [PREVIOUS]"
[ -n "${LENDER:-}" ] && [ -n "${AGENCY:-}" ] || die "set LENDER and AGENCY to your codes, and export them"
kind=$1 csv=$2 number=$3 previous=null
[ -s "$csv" ] || die "$csv is not there, or empty"

case $kind in
    acknowledgement)     table=accounts   control=booked_balance ;;
    return)              table=accounts   control= ;;
    activity)            table=contacts   control= ;;
    remittance)          table=lines      control=net ;;
    invoice)             table=lines      control=commission ;;
    erasure_certificate) table=erasures   control= ;;
    correction_confirmation) table=corrections control= ;;
    complaint)           table=complaints control= ;;
    plan)                table=instalments control=amount ;;
    hold_request)        table=accounts   control= ;;
    recall_objection)    table=accounts   control= ;;
    refusal)             table=refusals   control= ;;
    fingerprint)         table=fingerprints control= ;;
    *) die "agencies do not send files of kind $kind" ;;
esac
if [ "$number" = next ]; then
    number=$(ls sent out 2> /dev/null | awk -F. -v of="$LENDER.$AGENCY.$kind" '
        $1 "." $2 "." $3 == of && $5 + 0 > last { last = $5 + 0 } END { print last + 1 }')
fi
field=null
[ -z "$control" ] || field="\"$control\""
[ -z "${4:-}" ] || previous="\"$(sha256sum "$4" | cut -c1-64)\""

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# As a spreadsheet saves it, but without its byte order mark, carriage returns and needless quotation marks.
sed -e '1s/^\xef\xbb\xbf//' -e 's/\r$//' -e '/^$/d' -e 's/"\([^",]*\)"/\1/g' "$csv" > "$folder/$table.csv"
if grep -q '"' "$folder/$table.csv"; then die "$csv: take commas and quotation marks out of the values"; fi
rows=$(($(wc -l < "$folder/$table.csv") - 1))
hash=$(sha256sum "$folder/$table.csv" | cut -c1-64)

# The sum of the control column per currency, in ten-thousandths, so that no binary fraction comes near an amount.
sums=
if [ -n "$control" ]; then
    sums=$(awk -F, -v control="$control" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i
                  if (!(control in at) || !("currency" in at)) { print "no column " control " or currency" > "/dev/stderr"; exit 3 }
                  next }
        { c = $at["currency"]; t = $at[control]; sign = 1
          if (sub(/^-/, "", t)) sign = -1
          if (t !~ /^[0-9]+(\.[0-9]+)?$/) { print "line " NR - 1 ": " control " is not an amount" > "/dev/stderr"; exit 3 }
          whole = t; part = ""; dot = index(t, ".")
          if (dot) { whole = substr(t, 1, dot - 1); part = substr(t, dot + 1) }
          if (length(part) > digits[c]) digits[c] = length(part)
          sum[c] += sign * (whole * 10000 + substr(part "0000", 1, 4)) }
        END { for (c in sum) { s = sum[c]; minus = ""; if (s < 0) { minus = "-"; s = -s }
                  whole = int(s / 10000); text = minus sprintf("%.0f", whole)
                  if (digits[c]) text = text "." substr(sprintf("%04.0f", s - whole * 10000), 1, digits[c])
                  printf "%s\"%s\": \"%s\"", comma, c, text; comma = ", " } }
    ' "$folder/$table.csv") || die "$csv: see above"
fi

name=$(printf '%s.%s.%s.%s.%06d' "$LENDER" "$AGENCY" "$kind" "$(date +%Y%m%d)" "$number")
cat > "$folder/datapackage.json" <<END
{
  "name": "$name",
  "consign": {
    "kind": "$kind", "lender": "$LENDER", "agency": "$AGENCY", "sequence": $number, "previous": $previous,
    "rows": $rows,
    "control": {"field": $field, "sums": {$sums}}
  },
  "resources": [
    {"name": "$table", "path": "$table.csv", "encoding": "utf-8", "hash": "sha256:$hash"}
  ]
}
END

mkdir -p out
rm -f "out/$name.zip"
zip -q -X -j "out/$name.zip" "$folder/datapackage.json" "$folder/$table.csv"
echo "out/$name.zip"
