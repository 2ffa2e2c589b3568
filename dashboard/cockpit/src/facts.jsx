// SPDX-License-Identifier: GPL-2.0
import { DescriptionList, DescriptionListDescription, DescriptionListGroup, DescriptionListTerm } from "./pf.js";

const isEmpty = value => value === undefined || value === "" || value === false || value?.length === 0;

/* Terms with their values, without those that have none: [term, value] each. */
export function Facts({ rows, className }) {
	return (
		<DescriptionList isHorizontal isCompact className={className}>
			{rows.filter(([, value]) => !isEmpty(value)).map(([term, value]) =>
				<DescriptionListGroup key={term}>
					<DescriptionListTerm>{term}</DescriptionListTerm>
					<DescriptionListDescription>{value}</DescriptionListDescription>
				</DescriptionListGroup>)}
		</DescriptionList>
	);
}
